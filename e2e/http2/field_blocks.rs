//! HPACK: what cannot be decoded ends the connection, since both tables would no longer be the same (RFC 9113 §4.3).

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Code, Frame, indexed, indexing, integer, literal, size_update, string};

use crate::case::{COMPRESSION, Case, Must, OK, PROTOCOL, SEEN_GET, case, connection_error, get, ok, post, whole};

/// A request whose block ends with what cannot be decoded.
fn broken(name: &'static str, cites: &'static str, bytes: impl AsRef<[u8]>) -> Case {
    let block = [&get().block(), bytes.as_ref()].concat();
    connection_error(name, cites, [Frame::headers(1, block).ending()], COMPRESSION)
}

/// A request that is written like this and is a plain GET.
fn decoded(name: &'static str, cites: &'static str, block: Vec<u8>) -> Case {
    case(name, cites).sends([Frame::headers(1, block).ending()]).origin_sees(SEEN_GET, Step::answer(OK)).gets(1, ok())
}

/// `x-a: ` and a value, Huffman-coded as these bytes say.
fn huffman(code: &[u8]) -> Vec<u8> {
    [vec![0], string("x-a"), integer(0x80, 7, code.len()), code.to_vec()].concat()
}

/// GET as a browser writes it: all of the static table that there is, host and path literal.
fn short_get() -> Vec<u8> {
    [indexed(2), indexed(6), [vec![0x01], string("demo.test")].concat(), indexed(4)].concat()
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        broken("index 0", "RFC 7541 §6.1", [0x80]),
        broken("an index past the tables", "RFC 7541 §2.3.3", indexed(62)),
        broken("an index far past the tables", "RFC 7541 §2.3.3", indexed(100_000)),
        broken("the name of an index past the tables", "RFC 7541 §2.3.3", [integer(0, 4, 70), string("x")].concat()),
        broken("an index that never ends", "RFC 7541 §5.1", [0xff; 20]),
        broken(
            "an integer too large for anybody",
            "RFC 7541 §5.1",
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ),
        broken("an index cut short", "RFC 7541 §5.1", [0xff, 0x80]),
        broken("a name cut short", "RFC 7541 §5.2", [0x00, 0x05, b'x']),
        broken(
            "a name longer than any head",
            "RFC 7541 §5.2, §7.3",
            [vec![0], integer(0, 7, 1 << 30), b"x".to_vec()].concat(),
        ),
        broken("a field without a value", "RFC 7541 §6.2.2", [vec![0], string("x-a")].concat()),
        broken("a Huffman code with EOS", "RFC 7541 §5.2", huffman(&[0xff, 0xff, 0xff, 0xff])),
        broken("a Huffman code padded with more than 7 bits", "RFC 7541 §5.2", huffman(&[0x1f, 0xff])),
        broken("a Huffman code padded with zeros", "RFC 7541 §5.2", huffman(&[0x18])),
        broken("a size update past the setting", "RFC 7541 §6.3", []).but_first(size_update(1 << 20)),
        broken("a size update after a field", "RFC 7541 §4.2", [size_update(0), literal("x-a", "1")].concat()),
        broken("a size update at the end", "RFC 7541 §4.2", size_update(100)),
        decoded("fields of the static table", "RFC 7541 §6.1, Appendix A", short_get()),
        decoded(
            "a size update in front",
            "RFC 7541 §4.2, §6.3",
            [size_update(0), size_update(4096), short_get()].concat(),
        ),
        decoded(
            "a Huffman-coded value",
            "RFC 7541 §5.2, Appendix B",
            // `/` is 011000, padded with ones.
            [indexed(2), indexed(6), [vec![0x01], string("demo.test")].concat(), vec![0x04, 0x81, 0x63]].concat(),
        ),
        case("fields that entered the table", "RFC 7541 §2.3.2, §6.2.1")
            .sends([
                Frame::headers(1, [short_get(), indexing("x-kept", "1")].concat()).ending(),
                Frame::headers(3, [short_get(), indexed(62)].concat()).ending(),
            ])
            .origin_sees(SEEN_KEPT, Step::answer(OK))
            .origin_sees(SEEN_KEPT, Step::answer(OK))
            .gets(1, ok())
            .gets(3, ok()),
        case("fields of a refused request enter the table too", "RFC 9113 §4.3, RFC 7541 §2.2")
            .sends([Frame::headers(1, [indexing("x-kept", "1"), literal("X-UPPER", "1")].concat()).ending()])
            .must(Must::Refused(1))
            .sends([Frame::headers(3, [short_get(), indexed(62)].concat()).ending()])
            .origin_sees_unless_given_up(SEEN_KEPT)
            .must(Must::Either(vec![Must::Answer(3, ok()), Must::ConnectionError(PROTOCOL)])),
        case("a field larger than the table empties it", "RFC 7541 §4.4")
            .sends([Frame::headers(1, [short_get(), indexing("x-kept", "1")].concat()).ending()])
            .origin_sees(SEEN_KEPT, Step::answer(OK))
            .gets(1, ok())
            .sends([Frame::headers(3, [short_get(), indexing("x-big", "x".repeat(5000))].concat()).ending()])
            .origin_sees_anything(Step::answer(OK))
            .gets(3, ok())
            .sends([Frame::headers(5, [short_get(), indexed(62)].concat()).ending()])
            .must(Must::ConnectionError(COMPRESSION)),
        case("trailers that cannot be decoded", "RFC 9113 §4.3")
            .sends([Frame::headers(1, post().block()), Frame::headers(1, [0x80]).ending()])
            .origin_cut()
            .must(Must::ConnectionError(COMPRESSION)),
        case("a head that cannot be decoded, on a stream that was cancelled", "RFC 9113 §4.3")
            .sends([whole(1, &get()), Frame::rst_stream(1, Code::CANCEL), Frame::headers(3, [0x80]).ending()])
            .origin_sees_anything_or_nothing()
            .must(Must::ConnectionError(COMPRESSION)),
    ]
}

const SEEN_KEPT: &[u8] = b"GET / HTTP/1.1\r\nHost: demo.test\r\nx-kept: 1\r\n{ours}\r\n";
