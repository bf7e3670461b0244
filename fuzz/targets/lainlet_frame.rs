//! Frames of a watch: split the same wherever the stream is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webrouter_discovery::lainlet::wire::{Frame, FrameSplitter, TooLarge};

const MAX: usize = 2048;

// The first two bytes say where the rest is cut.
fuzz_target!(|bytes: &[u8]| {
    let [first, second, stream @ ..] = bytes else { return };
    let (whole, whole_end) = split(stream, |_| stream.len());
    let (bytewise, bytewise_end) = split(stream, |_| 1);
    let (pieces, pieces_end) = split(stream, |piece| usize::from(if piece % 2 == 0 { *first } else { *second }));
    assert_eq!(whole_end, bytewise_end);
    assert_eq!(whole_end, pieces_end);
    assert_eq!(whole, bytewise);
    assert_eq!(whole, pieces);
    for frame in &whole {
        assert!(frame.event.len() + frame.data.as_ref().map_or(0, |data| data.len()) <= 4 * MAX);
        assert!(!frame.event.contains(['\n', '\r']));
    }
});

fn split(stream: &[u8], piece_len: impl Fn(usize) -> usize) -> (Vec<Frame>, Result<bool, TooLarge>) {
    let mut splitter = FrameSplitter::new(MAX);
    let mut frames = Vec::new();
    let (mut rest, mut piece) = (stream, 0);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece_len(piece).clamp(1, rest.len()));
        if let Err(error) = splitter.push(now, |frame| frames.push(frame)) {
            return (frames, Err(error));
        }
        rest = later;
        piece += 1;
    }
    let between = splitter.is_between_frames();
    (frames, Ok(between))
}
