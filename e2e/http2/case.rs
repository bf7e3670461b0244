//! What a case is made of. Read a case as a sentence: sends …, origin sees …, gets …
//!
//! A case begins after the client's preface, on a connection of its own. What comes after it is the same for all: a
//! connection that was given up with an error is closed, on every other one the next request is served.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Answer, Code, Fields, Frame, Windows};

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) cites: &'static str,
    pub(crate) opening: Opening,
    pub(crate) windows: Windows,
    pub(crate) steps: Vec<Do>,
    /// One entry a request the origin must see; none: it must stay untouched.
    pub(crate) origin: Vec<Serve>,
    pub(crate) aftermath: Aftermath,
}

/// What is tried when all else is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aftermath {
    /// The connection must have ended, or serve the next request.
    Judged,
    /// Nothing.
    None,
}

/// How the connection begins.
pub(crate) enum Opening {
    /// With preface and SETTINGS, these settings in it.
    Preface(Vec<(u16, u32)>),
    /// With what the case sends.
    Nothing,
}

/// A step of the client.
pub(crate) enum Do {
    Send(Vec<u8>),
    SendPieces(Vec<u8>, usize),
    Frames(Vec<Frame>),
    /// Waits until the origin has begun to receive this many requests.
    AwaitOrigin(usize),
    Expect(Must),
}

/// What must come.
pub(crate) enum Must {
    /// This whole answer on this stream; `date` aside, order of different names aside.
    Answer(u32, Answer),
    /// A head on this stream that does not end it.
    Head(u32, Answer),
    /// The next head with a status 1xx.
    Interim(u32, Answer),
    /// Content on this stream, from its beginning to here.
    Content(u32, Vec<u8>),
    /// The end of this stream, everything received before.
    Ended(u32),
    /// An answer with this status, whatever it is.
    Status(u32, u16),
    /// A page of the router's own with this status, on a stream that is not reset for an error.
    Page(u32, u16),
    /// RST_STREAM for an error, after this head and a beginning of this body or after nothing: the answer never ends as if
    /// it were complete.
    Cut(u32, Answer),
    /// This stream is not reset for an error by whatever the router had to say until now (RFC 9113 §8.1).
    EndsKindly(u32),
    /// The request was malformed (RFC 9113 §8.1.1): a page with a status 4xx or 501, RST_STREAM or GOAWAY with PROTOCOL_ERROR.
    Refused(u32),
    /// RST_STREAM with one of these codes; GOAWAY with one of them is legal too (RFC 9113 §5.4.2).
    StreamError(u32, &'static [Code]),
    /// GOAWAY with one of these codes, then the end.
    ConnectionError(&'static [Code]),
    /// The end of the connection, after anything but an answer.
    Closed,
    /// The answer to this PING.
    Pong([u8; 8]),
    /// The acknowledgement of this many SETTINGS.
    Acknowledged(usize),
    /// This setting of the server's.
    Setting(u16, u32),
    /// One of several.
    Either(Vec<Must>),
    /// HTTP/1.1: these bytes.
    Bytes(Vec<u8>),
}

/// What the origin must see of a request, and what it does.
pub(crate) struct Serve {
    pub(crate) sees: Seen,
    pub(crate) script: Vec<Step>,
}

/// What arrives at the origin.
pub(crate) enum Seen {
    /// This request, in the notation of the HTTP/1.1 cases: `{ours}` stands for what the router adds. Fields in any
    /// order, names in any case, and where this one is in chunks, framed in any way.
    Request(Vec<u8>),
    /// A request that never completes, or none at all.
    Cut,
    /// This request, or a part of it, or none.
    Perhaps(Vec<u8>),
    /// A request whose content is not compared.
    Anything,
    /// One request, whatever it is, or none.
    Maybe,
}

/// A case without any step.
pub(crate) fn case(name: &'static str, cites: &'static str) -> Case {
    let opening = Opening::Preface(Vec::new());
    Case {
        name,
        cites,
        opening,
        windows: Windows::Refilled,
        steps: Vec::new(),
        origin: Vec::new(),
        aftermath: Aftermath::Judged,
    }
}

/// The router takes these frames for an error of the connection; the origin sees nothing.
pub(crate) fn connection_error(
    name: &'static str,
    cites: &'static str,
    frames: impl Into<Vec<Frame>>,
    codes: &'static [Code],
) -> Case {
    case(name, cites).sends(frames).must(Must::ConnectionError(codes))
}

/// The router takes these frames for an error of stream 1; the origin sees no whole request.
pub(crate) fn stream_error(
    name: &'static str,
    cites: &'static str,
    frames: impl Into<Vec<Frame>>,
    codes: &'static [Code],
) -> Case {
    case(name, cites).sends(frames).origin_cut().must(Must::StreamError(1, codes))
}

/// The router goes on as if these frames had not been sent.
pub(crate) fn ignored(name: &'static str, cites: &'static str, frames: impl Into<Vec<Frame>>) -> Case {
    let mut frames = frames.into();
    frames.push(whole(1, &get()));
    case(name, cites).sends(frames).origin_sees(SEEN_GET, Step::answer(OK)).gets(1, ok())
}

/// These fields are a request that is refused; the origin sees nothing.
pub(crate) fn malformed(name: &'static str, cites: &'static str, fields: &Fields) -> Case {
    case(name, cites).sends([whole(1, fields)]).must(Must::Refused(1))
}

/// These fields are a request without a body that the origin sees as `seen`; its answer arrives.
pub(crate) fn forwarded(name: &'static str, cites: &'static str, fields: &Fields, seen: impl AsRef<[u8]>) -> Case {
    case(name, cites).sends([whole(1, fields)]).origin_sees(seen, Step::answer(OK)).gets(1, ok())
}

/// The origin answers a plain GET with `bytes`, and the client gets `expected`.
pub(crate) fn answered(name: &'static str, cites: &'static str, bytes: impl AsRef<[u8]>, expected: Answer) -> Case {
    case(name, cites).sends([whole(1, &get())]).origin_sees(SEEN_GET, Step::answer(bytes.as_ref())).gets(1, expected)
}

impl Case {
    pub(crate) fn sends(mut self, frames: impl Into<Vec<Frame>>) -> Case {
        self.steps.push(Do::Frames(frames.into()));
        self
    }

    pub(crate) fn sends_bytes(mut self, bytes: impl AsRef<[u8]>) -> Case {
        self.steps.push(Do::Send(bytes.as_ref().to_vec()));
        self
    }

    pub(crate) fn sends_in_pieces(mut self, bytes: impl AsRef<[u8]>, size: usize) -> Case {
        self.steps.push(Do::SendPieces(bytes.as_ref().to_vec(), size));
        self
    }

    /// Goes on once the origin has begun to receive this many requests.
    pub(crate) fn once_origin_has(mut self, count: usize) -> Case {
        self.steps.push(Do::AwaitOrigin(count));
        self
    }

    pub(crate) fn must(mut self, must: Must) -> Case {
        self.steps.push(Do::Expect(must));
        self
    }

    pub(crate) fn gets(self, stream: u32, expected: Answer) -> Case {
        self.must(Must::Answer(stream, expected))
    }

    pub(crate) fn gets_page(self, stream: u32, status: u16) -> Case {
        self.must(Must::Page(stream, status))
    }

    pub(crate) fn with_settings(mut self, settings: &[(u16, u32)]) -> Case {
        self.opening = Opening::Preface(settings.to_vec());
        self
    }

    pub(crate) fn without_preface(mut self) -> Case {
        self.opening = Opening::Nothing;
        self
    }

    /// No request can follow, or none needs to be served.
    pub(crate) fn has_no_next_request(mut self) -> Case {
        self.aftermath = Aftermath::None;
        self
    }

    /// Windows are opened by the case alone.
    pub(crate) fn with_windows_by_hand(mut self) -> Case {
        self.windows = Windows::ByHand;
        self
    }

    pub(crate) fn origin_sees(mut self, request: impl AsRef<[u8]>, script: Vec<Step>) -> Case {
        self.origin.push(Serve { sees: Seen::Request(request.as_ref().to_vec()), script });
        self
    }

    pub(crate) fn origin_cut(mut self) -> Case {
        self.origin.push(Serve { sees: Seen::Cut, script: Step::answer(OK) });
        self
    }

    pub(crate) fn origin_sees_unless_given_up(mut self, request: impl AsRef<[u8]>) -> Case {
        self.origin.push(Serve { sees: Seen::Perhaps(request.as_ref().to_vec()), script: Step::answer(OK) });
        self
    }

    /// What the first head's block begins with.
    pub(crate) fn but_first(mut self, block: Vec<u8>) -> Case {
        if let Some(Do::Frames(frames)) = self.steps.first_mut() {
            frames[0].payload.splice(0..0, block);
        }
        self
    }

    pub(crate) fn origin_sees_anything_or_nothing(mut self) -> Case {
        self.origin.push(Serve { sees: Seen::Maybe, script: Step::answer(OK) });
        self
    }

    pub(crate) fn origin_sees_anything(mut self, script: Vec<Step>) -> Case {
        self.origin.push(Serve { sees: Seen::Anything, script });
        self
    }
}

/// A request without a body.
pub(crate) fn whole(stream: u32, fields: &Fields) -> Frame {
    Frame::headers(stream, fields.block()).ending()
}

/// The head of a request whose body follows.
pub(crate) fn head(stream: u32, fields: &Fields) -> Frame {
    Frame::headers(stream, fields.block())
}

pub(crate) fn get() -> Fields {
    Fields::request("GET", "demo.test", "/")
}

pub(crate) fn post() -> Fields {
    Fields::request("POST", "demo.test", "/")
}

/// What the client gets of an answer.
pub(crate) fn answer(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
    Answer { status, fields: owned(fields), body: body.as_ref().to_vec(), trailers: Vec::new() }
}

/// The same with trailers.
pub(crate) fn with_trailers(mut answer: Answer, trailers: &[(&str, &str)]) -> Answer {
    answer.trailers = owned(trailers);
    answer
}

/// What the client gets of [`OK`].
pub(crate) fn ok() -> Answer {
    answer(200, &[("content-length", "2")], "ok")
}

/// Script: read the whole request, answer, close.
pub(crate) fn answer_and_close(bytes: impl AsRef<[u8]>) -> Vec<Step> {
    let mut script = Step::answer(bytes.as_ref());
    script.push(Step::Close);
    script
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
pub(crate) const SEEN_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n";
pub(crate) const PROTOCOL: &[Code] = &[Code::PROTOCOL_ERROR];
// Who does not tell its errors apart may name the unspecific one (RFC 9113 §7).
pub(crate) const FRAME_SIZE: &[Code] = &[Code::FRAME_SIZE_ERROR, Code::PROTOCOL_ERROR];
pub(crate) const FLOW_CONTROL: &[Code] = &[Code::FLOW_CONTROL_ERROR, Code::PROTOCOL_ERROR];
pub(crate) const COMPRESSION: &[Code] = &[Code::COMPRESSION_ERROR, Code::PROTOCOL_ERROR];
pub(crate) const STREAM_CLOSED: &[Code] = &[Code::STREAM_CLOSED, Code::PROTOCOL_ERROR];
