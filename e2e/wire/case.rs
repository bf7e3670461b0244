//! What a wire case is made of. Read a case as a sentence: sends …, origin sees …, gets …, closes.

use webrouter_testkit::Step;

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) cites: &'static str,
    pub(crate) client: Vec<Do>,
    /// One entry a request the origin must see; none: it must stay untouched.
    pub(crate) origin: Vec<Serve>,
    pub(crate) then: Then,
}

/// What the client does, in order.
pub(crate) enum Do {
    Send(Vec<u8>),
    SendPieces(Vec<u8>, usize),
    HalfClose,
    Get(Answer),
}

/// What the client must receive.
pub(crate) enum Answer {
    /// This response: status line, fields, body, trailers; `Date` aside, chunk boundaries aside.
    Response(Vec<u8>),
    /// This response head, to a HEAD.
    Head(Vec<u8>),
    /// A page of the router's own with this status.
    Page(u16),
    /// A redirect of the router's own.
    Redirect(u16, &'static str),
    /// The head of this response and at most the beginning of its body, never its end.
    Cut(Vec<u8>),
    /// These bytes, as they are.
    Bytes(Vec<u8>),
    /// The end of the connection, after a page with this status or after nothing.
    EndMaybePage(u16),
}

/// What the origin must see of a request, and what it does.
pub(crate) struct Serve {
    pub(crate) sees: Seen,
    pub(crate) script: Vec<Step>,
}

/// What arrives at the origin.
pub(crate) enum Seen {
    /// This request. `{ours}` stands for the fields the router adds; `{ours:/x}` when the client asked for `/x`;
    /// a value `{any}` stands for a made one.
    Request(Vec<u8>),
    /// A request that never completes, or none at all.
    Cut,
    /// A request whose content is not compared.
    Anything,
}

/// The client's connection afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Another request on it is served.
    Open,
    /// It ends, without another byte.
    Closed,
}

/// A case without any step.
pub(crate) fn case(name: &'static str, cites: &'static str) -> Case {
    Case { name, cites, client: Vec::new(), origin: Vec::new(), then: Then::Closed }
}

/// The router refuses these bytes with a page and closes; what it had begun to send to the origin it never completes.
pub(crate) fn refused_midway(name: &'static str, cites: &'static str, bytes: impl AsRef<[u8]>) -> Case {
    case(name, cites).sends(bytes).origin_cut().gets_page(400)
}

/// The router refuses these bytes with a page, closes, and the origin sees nothing.
pub(crate) fn refused(name: &'static str, cites: &'static str, status: u16, bytes: impl AsRef<[u8]>) -> Case {
    case(name, cites).sends(bytes).gets_page(status)
}

/// These bytes are one request that the origin sees as `seen`; its answer arrives and the connection stays.
pub(crate) fn forwarded(
    name: &'static str,
    cites: &'static str,
    bytes: impl AsRef<[u8]>,
    seen: impl AsRef<[u8]>,
) -> Case {
    case(name, cites).sends(bytes).origin_sees(seen, Step::answer(OK)).gets(OK).stays_open()
}

/// The origin answers a plain GET with `answer`, and the client gets `expected`.
pub(crate) fn answered(
    name: &'static str,
    cites: &'static str,
    answer: impl AsRef<[u8]>,
    expected: impl AsRef<[u8]>,
) -> Case {
    case(name, cites).sends(GET).origin_sees(SEEN_GET, Step::answer(answer.as_ref())).gets(expected).stays_open()
}

/// The origin answers a plain GET with `answer` and closes, and the client gets a 502 that shows nothing of it.
pub(crate) fn bad_answer(name: &'static str, cites: &'static str, answer: impl AsRef<[u8]>) -> Case {
    let mut script = Step::answer(answer.as_ref());
    script.push(Step::Close);
    case(name, cites).sends(GET).origin_sees(SEEN_GET, script).gets_page(502).stays_open()
}

impl Case {
    pub(crate) fn sends(mut self, bytes: impl AsRef<[u8]>) -> Case {
        self.client.push(Do::Send(bytes.as_ref().to_vec()));
        self
    }

    pub(crate) fn sends_in_pieces(mut self, bytes: impl AsRef<[u8]>, size: usize) -> Case {
        self.client.push(Do::SendPieces(bytes.as_ref().to_vec(), size));
        self
    }

    pub(crate) fn half_closes(mut self) -> Case {
        self.client.push(Do::HalfClose);
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

    pub(crate) fn origin_sees_anything(mut self, script: Vec<Step>) -> Case {
        self.origin.push(Serve { sees: Seen::Anything, script });
        self
    }

    pub(crate) fn gets(mut self, response: impl AsRef<[u8]>) -> Case {
        self.client.push(Do::Get(Answer::Response(response.as_ref().to_vec())));
        self
    }

    pub(crate) fn gets_head(mut self, response: impl AsRef<[u8]>) -> Case {
        self.client.push(Do::Get(Answer::Head(response.as_ref().to_vec())));
        self
    }

    pub(crate) fn gets_page(mut self, status: u16) -> Case {
        self.client.push(Do::Get(Answer::Page(status)));
        self
    }

    pub(crate) fn gets_redirect(mut self, status: u16, location: &'static str) -> Case {
        self.client.push(Do::Get(Answer::Redirect(status, location)));
        self
    }

    pub(crate) fn gets_cut(mut self, response: impl AsRef<[u8]>) -> Case {
        self.client.push(Do::Get(Answer::Cut(response.as_ref().to_vec())));
        self
    }

    pub(crate) fn gets_bytes(mut self, bytes: impl AsRef<[u8]>) -> Case {
        self.client.push(Do::Get(Answer::Bytes(bytes.as_ref().to_vec())));
        self
    }

    pub(crate) fn gets_nothing_but_perhaps_a_page(mut self, status: u16) -> Case {
        self.client.push(Do::Get(Answer::EndMaybePage(status)));
        self
    }

    pub(crate) fn stays_open(mut self) -> Case {
        self.then = Then::Open;
        self
    }

    pub(crate) fn closes(mut self) -> Case {
        self.then = Then::Closed;
        self
    }
}

/// Script: read the whole request, answer, close.
pub(crate) fn answer_and_close(bytes: impl AsRef<[u8]>) -> Vec<Step> {
    let mut script = Step::answer(bytes.as_ref());
    script.push(Step::Close);
    script
}

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
pub(crate) const OK_CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n";
pub(crate) const SEEN_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n";
