//! The places of the entries in a state's text, and what differs between two texts.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{MAX_ENTRIES, TranslateError};
use crate::delta::common_ends;
use crate::source::excerpt;

/// Where an entry is: from the quote before its key to the byte after its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    /// The byte after the quote that ends the key.
    key_end: usize,
    end: usize,
}

impl Span {
    /// The key in the text the span was made for; only for keys without escapes.
    pub(super) fn key(self, text: &[u8]) -> &str {
        let key = text.get(self.start + 1..self.key_end - 1);
        key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default()
    }

    fn moved(self, by: isize) -> Option<Self> {
        let moved = |place: usize| place.checked_add_signed(by);
        Some(Self { start: moved(self.start)?, key_end: moved(self.key_end)?, end: moved(self.end)? })
    }
}

/// One entry of a text.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) span: Span,
    pub(super) key: Cow<'a, str>,
    pub(super) value: &'a str,
}

impl Item<'_> {
    /// Whether the key stands in the text as it is, so that its span tells it; a long one is shortened where it is listed.
    pub(super) fn is_plain(&self, text: &str) -> bool {
        matches!(self.key, Cow::Borrowed(_)) && self.key.len() <= 200 && self.span.key(text.as_bytes()) == self.key
    }
}

/// What makes a new text out of the old one.
#[derive(Debug)]
pub(super) struct Patch<'a> {
    /// The old entries between the common ends.
    replaced: Range<usize>,
    /// The places of what stands there now.
    spans: Vec<Span>,
    /// Of those, the entries that are not as they were.
    pub(super) items: Vec<Item<'a>>,
    /// Old entries whose keys are gone.
    pub(super) gone: Vec<Span>,
    /// How far the old entries behind them have moved.
    moved: isize,
}

/// Every entry of a text, in order.
pub(super) fn items(text: &str) -> Result<Vec<Item<'_>>, TranslateError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let entries = Entries::deserialize(&mut deserializer).and_then(|entries| deserializer.end().map(|()| entries));
    let entries = entries.map_err(|error| TranslateError::NotJson(excerpt(&error.to_string())))?;
    if entries.0.len() > MAX_ENTRIES {
        return Err(TranslateError::TooManyEntries);
    }
    Ok(entries.0.into_iter().filter_map(|(key, value)| locate(text, key, value)).collect())
}

/// Finds a parsed entry in the text it was parsed from.
fn locate<'a>(text: &'a str, key: Cow<'a, str>, value: &'a RawValue) -> Option<Item<'a>> {
    let value = value.get();
    let value_start = (value.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let span = match &key {
        Cow::Borrowed(key) => {
            let key_start = (key.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            Span {
                start: key_start.checked_sub(1)?,
                key_end: key_start + key.len() + 1,
                end: value_start + value.len(),
            }
        }
        // Never asked for: with an escaped key the text is not patched.
        Cow::Owned(_) => Span { start: value_start, key_end: value_start + 2, end: value_start + value.len() },
    };
    Some(Item { span, key, value })
}

/// Compares two texts and parses what differs; `None` when the new one is to be parsed whole.
///
/// The keys of the old text must ascend and be free of escapes. Between the common ends the two texts are walked side
/// by side, so that a few changes far apart do not cost what stands between them.
pub(super) fn patch<'a>(old: &[u8], spans: &[Span], new: &'a str) -> Option<Patch<'a>> {
    let (front, back) = common_ends(old, new.as_bytes());
    let moved = isize::try_from(new.len()).ok()? - isize::try_from(old.len()).ok()?;
    // The byte behind an entry must be common too: `1` may have become `12`.
    let kept = spans.partition_point(|span| span.end < front);
    let tail = spans.partition_point(|span| span.start < old.len() - back).max(kept);
    let tail_start = spans.get(tail).and_then(|span| span.start.checked_add_signed(moved));
    let mut scan = Scan { text: new, at: 0 };
    let mut more = match spans.get(..kept)?.last() {
        None => {
            scan.expect(b'{')?;
            !scan.skip(b'}')
        }
        Some(last) => {
            scan.at = last.end;
            scan.comma_or_end()?
        }
    };
    let mut walk = Walk { old, spans, at: kept, before: spans.get(..kept)?.last().map(|span| span.key(old)) };
    let mut patch = Patch { replaced: kept..tail, spans: Vec::new(), items: Vec::new(), gone: Vec::new(), moved };
    while more {
        scan.white_space();
        if walk.at <= tail && tail_start == Some(scan.at) {
            break;
        }
        patch.spans.push(match walk.same_entry(&mut scan) {
            Some(span) => span,
            None => {
                let item = scan.entry().filter(|item| item.is_plain(new))?;
                walk.pass(item.span.key(new.as_bytes()), &mut patch.gone)?;
                patch.items.push(item);
                patch.items.last()?.span
            }
        });
        more = scan.comma_or_end()?;
    }
    if !more {
        patch.replaced.end = spans.len();
        scan.white_space();
        if scan.at != new.len() {
            return None;
        }
    }
    patch.gone.extend(spans.get(walk.at..patch.replaced.end)?);
    let after = spans.get(patch.replaced.end).map(|span| span.key(old));
    let ascending = after.is_none_or(|after| walk.before.is_none_or(|last| last < after));
    let few_enough = kept + patch.spans.len() + (spans.len() - patch.replaced.end) <= MAX_ENTRIES;
    (ascending && few_enough).then_some(patch)
}

/// Brings the places of the old text's entries in line with the new text.
pub(super) fn apply(spans: &mut Vec<Span>, patch: &Patch<'_>) {
    if patch.moved != 0 {
        for span in spans.get_mut(patch.replaced.end..).unwrap_or_default() {
            *span = span.moved(patch.moved).expect("an entry behind the change is in the new text too");
        }
    }
    spans.splice(patch.replaced.clone(), patch.spans.iter().copied());
}

/// The place in the old text that goes with a place in the new one.
struct Walk<'o, 'n> {
    old: &'o [u8],
    spans: &'o [Span],
    /// The first old entry that is not behind.
    at: usize,
    /// The key before this place in the new text.
    before: Option<&'n str>,
}

impl<'o: 'n, 'n> Walk<'o, 'n> {
    /// Passes an entry that stands in both texts as it is; returns where it is in the new one.
    fn same_entry(&mut self, scan: &mut Scan<'_>) -> Option<Span> {
        let span = *self.spans.get(self.at)?;
        let rest = scan.text.as_bytes().get(scan.at..)?.strip_prefix(self.old.get(span.start..span.end)?)?;
        matches!(rest.first(), Some(b',' | b'}')).then_some(())?;
        let moved = span.moved(isize::try_from(scan.at).ok()? - isize::try_from(span.start).ok()?)?;
        let key = span.key(self.old);
        self.before.is_none_or(|before| before < key).then_some(())?;
        self.before = Some(key);
        scan.at = moved.end;
        self.at += 1;
        Some(moved)
    }

    /// Passes the old entries up to this key; `None` when the new keys do not ascend.
    fn pass(&mut self, key: &'n str, gone: &mut Vec<Span>) -> Option<()> {
        if self.before.replace(key).is_some_and(|before| before >= key) {
            return None;
        }
        while let Some(span) = self.spans.get(self.at).filter(|span| span.key(self.old) < key) {
            gone.push(*span);
            self.at += 1;
        }
        self.at += usize::from(self.spans.get(self.at).is_some_and(|span| span.key(self.old) == key));
        Some(())
    }
}

/// A place in a text that is read entry by entry.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes this byte, and white space before it, if it is next.
    fn skip(&mut self, byte: u8) -> bool {
        self.white_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip(byte).then_some(())
    }

    /// Whether another entry follows.
    fn comma_or_end(&mut self) -> Option<bool> {
        if self.skip(b',') { Some(true) } else { self.expect(b'}').map(|()| false) }
    }

    /// The entry that begins here; `None` when its key is not plain or it is no JSON.
    fn entry(&mut self) -> Option<Item<'a>> {
        let start = self.at;
        self.expect(b'"')?;
        let rest = self.text.get(self.at..)?;
        let key = rest.get(..memchr::memchr(b'"', rest.as_bytes())?)?;
        if key.bytes().any(|byte| byte == b'\\' || byte < 0x20) {
            return None;
        }
        self.at += key.len() + 1;
        let key_end = self.at;
        self.expect(b':')?;
        self.white_space();
        let mut values = serde_json::Deserializer::from_str(self.text.get(self.at..)?).into_iter::<&'a RawValue>();
        let value = values.next()?.ok()?.get();
        self.at += values.byte_offset();
        Some(Item { span: Span { start, key_end, end: self.at }, key: Cow::Borrowed(key), value })
    }
}

struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            let value = map.next_value()?;
            // One too many is enough to know.
            if entries.len() <= MAX_ENTRIES {
                entries.push((key, value));
            }
        }
        Ok(Entries(entries))
    }
}

/// A string, borrowed where it has no escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}
