//! What a client's HTTP/2 connection costs beside what it is good for. The windows and the number of streams bound its
//! memory; frames that carry nothing, and requests that are taken back, cost time without bound: they are paid for with
//! tokens, which work that was done gives back. And that its first frame is SETTINGS, which `h2` does not ask for.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use webrouter_telemetry::metrics::Flood;

/// Why a connection has to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    Flood(Flood),
    /// Something else came before the first SETTINGS (RFC 9113 §3.4).
    NoSettings,
}

/// The account of one connection.
#[derive(Debug)]
pub(crate) struct Meter {
    tokens: Cell<i32>,
    since: Cell<Instant>,
    breach: Cell<Option<Breach>>,
    /// Bytes that the client took, or its kernel did.
    written: Cell<u64>,
    scanner: RefCell<Scanner>,
}

/// A connection whose frames are counted as they arrive.
#[derive(Debug)]
pub(crate) struct Metered<T> {
    io: T,
    meter: Rc<Meter>,
}

/// Where in the frames a byte is.
#[derive(Debug)]
struct Scanner {
    /// To the next frame's header: of a payload, at first of the preface.
    skip: usize,
    header: [u8; HEADER_LEN],
    have: usize,
    /// Whether there was a frame.
    begun: bool,
}

impl Meter {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            tokens: Cell::new(MOST_TOKENS),
            since: Cell::new(Instant::now()),
            breach: Cell::new(None),
            written: Cell::new(0),
            scanner: RefCell::new(Scanner { skip: PREFACE_LEN, header: [0; HEADER_LEN], have: 0, begun: false }),
        })
    }

    /// What the connection has to be ended for, if anything.
    pub(crate) fn breach(&self) -> Option<Breach> {
        self.breach.get()
    }

    /// How many bytes went out so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.get()
    }

    fn wrote(&self, bytes: usize) {
        self.written.set(self.written.get() + bytes as u64);
        self.earn(i32::try_from(bytes / BYTES_PER_TOKEN).unwrap_or_default());
    }

    /// A request was answered.
    pub(crate) fn answered(&self) {
        self.earn(ANSWER);
    }

    fn earn(&self, tokens: i32) {
        self.tokens.set(self.tokens.get().saturating_add(tokens).min(MOST_TOKENS));
    }

    fn pay(&self, tokens: i32, flood: Flood) {
        self.tokens.set(self.tokens.get() - tokens);
        if self.tokens.get() >= 0 {
            return;
        }
        let passed = self.since.replace(Instant::now()).elapsed();
        let earned = passed.as_millis().saturating_mul(PER_SECOND) / 1000;
        self.earn(i32::try_from(earned).unwrap_or(MOST_TOKENS));
        if self.tokens.get() < 0 && self.breach.get().is_none() {
            self.breach.set(Some(Breach::Flood(flood)));
        }
    }

    fn scan(&self, mut bytes: &[u8]) {
        let scanner = &mut *self.scanner.borrow_mut();
        while !bytes.is_empty() {
            let skipped = scanner.skip.min(bytes.len());
            scanner.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = scanner.header.get_mut(scanner.have..).unwrap_or_default();
            let taken = wanted.len().min(bytes.len());
            let (header, rest) = bytes.split_at(taken);
            wanted.iter_mut().zip(header).for_each(|(to, from)| *to = *from);
            scanner.have += taken;
            bytes = rest;
            if scanner.have == HEADER_LEN {
                scanner.have = 0;
                let [_, _, _, kind, ..] = scanner.header;
                if !std::mem::replace(&mut scanner.begun, true) && kind != SETTINGS {
                    self.breach.set(Some(Breach::NoSettings));
                }
                scanner.skip = self.judge(scanner.header);
            }
        }
    }

    /// Accounts for a frame (RFC 9113 §4.1); says how long its payload is.
    fn judge(&self, header: [u8; HEADER_LEN]) -> usize {
        let [high, middle, low, kind, flags, ..] = header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            // Padding alone carries nothing, either.
            DATA if length > 0 && flags & PADDED == 0 => {
                self.earn(i32::try_from(length / BYTES_PER_TOKEN).unwrap_or_default())
            }
            DATA => self.pay(1, Flood::Empty),
            HEADERS => self.pay(1, Flood::Resets),
            RST_STREAM => self.pay(RESET, Flood::Resets),
            SETTINGS => self.pay(1, Flood::Settings),
            PING => self.pay(1, Flood::Pings),
            CONTINUATION => self.pay(PART_OF_HEAD, Flood::Empty),
            WINDOW_UPDATE => self.pay(1, Flood::Windows),
            _ => self.pay(1, Flood::Idle),
        }
        length
    }
}

impl<T> Metered<T> {
    pub(crate) fn new(io: T, meter: Rc<Meter>) -> Self {
        Self { io, meter }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { io, meter } = self.get_mut();
        if meter.breach().is_some() {
            // Whoever serves it has seen that, or will before it waits.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(io).poll_read(context, buffer))?;
        meter.scan(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { io, meter } = self.get_mut();
        let written = ready!(Pin::new(io).poll_write(context, bytes))?;
        meter.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { io, meter } = self.get_mut();
        let written = ready!(Pin::new(io).poll_write_vectored(context, buffers))?;
        meter.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

const PREFACE_LEN: usize = 24;
const HEADER_LEN: usize = 9;
const DATA: u8 = 0;
const PADDED: u8 = 8;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// What a connection may have in hand: a page of a browser that is left takes back a hundred requests at once.
const MOST_TOKENS: i32 = 1024;
const PER_SECOND: u128 = 64;
/// A reset has cost us a request.
const RESET: i32 = 8;
/// A head in many parts is rare.
const PART_OF_HEAD: i32 = 8;
const ANSWER: i32 = 10;
/// A window update or two follow a frame of 16 KiB as a rule.
const BYTES_PER_TOKEN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// How many frames with this header, and after each so many answers and payload bytes, are let through of 100,000.
    fn check(header: [u8; HEADER_LEN], answers: usize, expected: std::ops::Range<usize>, flood: Option<Flood>) {
        let meter = Meter::new();
        meter.scan(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let [_, _, low, ..] = header;
        let frame = [&header[..], &vec![0; usize::from(low)]].concat();
        meter.scan(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]);
        let mut through = 0;
        while through < 100_000 && meter.breach().is_none() {
            // Wherever it is cut.
            let (first, second) = frame.split_at(through % frame.len());
            meter.scan(first);
            meter.scan(second);
            through += 1;
            (0..answers).for_each(|_| meter.answered());
        }
        assert!(expected.contains(&through), "{header:?}: {through}");
        assert_eq!(meter.breach(), flood.map(Breach::Flood));
    }

    #[test]
    fn what_is_of_no_use_is_let_through_for_a_while() {
        check([0, 0, 8, PING, 0, 0, 0, 0, 0], 0, 1000..1200, Some(Flood::Pings));
        check([0, 0, 6, SETTINGS, 0, 0, 0, 0, 0], 0, 1000..1200, Some(Flood::Settings));
        check([0, 0, 0, DATA, 0, 0, 0, 0, 1], 0, 1000..1200, Some(Flood::Empty));
        check([0, 0, 1, DATA, PADDED, 0, 0, 0, 1], 0, 1000..1200, Some(Flood::Empty));
        check([0, 0, 0, CONTINUATION, 0, 0, 0, 0, 1], 0, 100..200, Some(Flood::Empty));
        check([0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1], 0, 100..200, Some(Flood::Resets));
        check([0, 0, 5, 2, 0, 0, 0, 0, 1], 0, 1000..1200, Some(Flood::Idle));
        check([0, 0, 4, WINDOW_UPDATE, 0, 0, 0, 0, 0], 0, 1000..1200, Some(Flood::Windows));
    }

    #[test]
    fn settings_come_first() {
        let meter = Meter::new();
        meter.scan(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        meter.scan(&[0, 0, 8, PING, 0, 0, 0, 0, 0]);
        assert_eq!(meter.breach(), Some(Breach::NoSettings));
    }

    #[test]
    fn what_is_of_use_goes_on() {
        check([0, 0, 5, HEADERS, 4, 0, 0, 0, 1], 1, 100_000..100_001, None);
        check([0, 0, 255, DATA, 0, 0, 0, 0, 1], 0, 100_000..100_001, None);
        // An upload as gRPC ends it: with an empty frame.
        check([0, 0, 0, DATA, 1, 0, 0, 0, 1], 1, 100_000..100_001, None);
    }
}
