//! Field blocks (RFC 7541) written by hand: literals with names and values of any bytes, references to any index.

/// Fields in the order in which they are sent, pseudo fields among them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(Vec<u8>, Vec<u8>)>);

impl Fields {
    /// The four pseudo fields of a request, as a client on a plain connection writes them.
    pub fn request(method: &str, authority: &str, path: &str) -> Fields {
        let fields = Fields::default().with(":method", method).with(":scheme", "http");
        fields.with(":authority", authority).with(":path", path)
    }

    /// One more field, at the end.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Fields {
        self.0.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// One more field, before all others.
    #[must_use]
    pub fn after(mut self, name: &str, value: &str) -> Fields {
        self.0.insert(0, (name.into(), value.into()));
        self
    }

    /// Without every field of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Fields {
        self.0.retain(|(field, _)| field != name.as_bytes());
        self
    }

    /// Another value where the field stands.
    #[must_use]
    pub fn but(mut self, name: &str, value: impl AsRef<[u8]>) -> Fields {
        for (_, old) in self.0.iter_mut().filter(|(field, _)| field == name.as_bytes()) {
            *old = value.as_ref().to_vec();
        }
        self
    }

    /// The field block: literals without indexing, nothing compressed.
    pub fn block(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(name, value)| literal(name, value)).collect()
    }
}

/// A literal field without indexing (RFC 7541 §6.2.2).
pub fn literal(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

/// A literal field that enters the table (RFC 7541 §6.2.1).
pub fn indexing(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0x40], string(name), string(value)].concat()
}

/// A field that stands in a table (RFC 7541 §6.1).
pub fn indexed(index: usize) -> Vec<u8> {
    integer(0x80, 7, index)
}

/// The size that the table shall have from now on (RFC 7541 §6.3).
pub fn size_update(size: usize) -> Vec<u8> {
    integer(0x20, 5, size)
}

/// A string that is not Huffman-coded (RFC 7541 §5.2).
pub fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [integer(0, 7, bytes.len()), bytes.to_vec()].concat()
}

/// An integer in the low `bits` of a byte and, where they do not suffice, the next ones (RFC 7541 §5.1).
pub fn integer(first: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![first | low_byte(value)];
    }
    let mut bytes = vec![first | low_byte(most)];
    let mut left = value - most;
    while left >= 0x80 {
        bytes.push(low_byte(left) | 0x80);
        left >>= 7;
    }
    bytes.push(low_byte(left));
    bytes
}

fn low_byte(value: usize) -> u8 {
    u8::try_from(value & 0xff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use fluke_hpack::Decoder;

    use super::*;

    #[test]
    fn integers_are_those_of_the_rfc() {
        assert_eq!(integer(0, 5, 10), [10]);
        assert_eq!(integer(0, 5, 1337), [31, 154, 10]);
        assert_eq!(integer(0x80, 7, 127), [0xff, 0]);
    }

    #[test]
    fn a_block_decodes_to_its_fields() {
        let long = "x".repeat(300);
        let fields = Fields::request("GET", "a.test", "/").with("X-Odd Name", "\r\n").with("x-long", &long);
        let block = [size_update(100), indexing("x-kept", "1"), indexed(62), fields.block()].concat();
        let decoded = Decoder::new().decode(&block).expect("a valid block");
        let expected = Fields::default().with("x-kept", "1").with("x-kept", "1");
        assert_eq!(decoded, [expected.0, fields.0].concat());
    }

    #[test]
    fn fields_are_changed_in_place() {
        let fields = Fields::request("GET", "a.test", "/").but(":path", "/b").without(":scheme").after("x-a", "1");
        let names: Vec<_> = fields.0.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
        assert_eq!(names, ["x-a", ":method", ":authority", ":path"]);
    }
}
