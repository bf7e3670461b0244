//! Lines on their way to the writer: one flat buffer of `[file u32][length u32][line]`, native byte order.

use super::LogFileId;

/// Lines of several files in one buffer that is used again and again.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

impl Batch {
    /// Appends a line that `write` writes in place.
    pub(super) fn push(&mut self, file: LogFileId, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&file.0.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        let text = self.bytes.len();
        write(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - text).unwrap_or(0).to_ne_bytes();
        if let Some(field) = self.bytes.get_mut(start + 4..text) {
            field.copy_from_slice(&length);
        }
        self.lines += 1;
    }

    /// The lines in their order.
    pub(super) fn lines(&self) -> impl Iterator<Item = (LogFileId, &[u8])> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (file, after) = rest.split_first_chunk::<4>()?;
            let (length, after) = after.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
            let (line, after) = after.split_at_checked(length)?;
            rest = after;
            Some((LogFileId(u32::from_ne_bytes(*file)), line))
        })
    }

    /// How many lines there are.
    pub(super) fn line_count(&self) -> u64 {
        self.lines
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the lines; keeps the buffer unless an outsized line made it large.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(MAX_KEPT_BYTES);
        self.lines = 0;
    }
}

/// What a line costs besides its text.
pub(super) const LINE_OVERHEAD: usize = 8;

const MAX_KEPT_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_as_they_went_in() {
        let mut batch = Batch::default();
        let lines: [(u32, &[u8]); 3] = [(0, b"a\n"), (7, b""), (u32::MAX, b"\x00\xff\n")];
        for (file, line) in lines {
            batch.push(LogFileId(file), |bytes| bytes.extend_from_slice(line));
        }
        assert!(batch.lines().eq(lines.map(|(file, line)| (LogFileId(file), line))));
        assert_eq!(batch.line_count(), 3);
        batch.clear();
        assert_eq!((batch.lines().count(), batch.line_count(), batch.len()), (0, 0, 0));
    }
}
