//! Whatever the pieces in which a stream comes, and whatever it holds.

use conductor_worker::events::{Exit, Outcome};
use proptest::prelude::*;

use crate::fuzz::tried;
use crate::reading::{delta, hardened, init, parse, parse_pieces, result, streamed};

pub const FIXTURES: &[&str] = &[
    "success-partial-messages",
    "success-tool-call",
    "blocked-writes-hardened",
    "blocked-writes-plain-plan",
    "error-http401",
    "error-http500",
    "error-stream-cut-with-retries",
    "error-stream-stalled",
    "ESCAPE-hostile-settings",
    "ESCAPE-shell-backtick-in-param-expansion",
];

proptest! {
    #![proptest_config(tried(64))]

    #[test]
    fn any_pieces_give_the_same_events(
        name in prop::sample::select(FIXTURES),
        cuts in prop::collection::vec(0.0f64..1.0, 0..40),
    ) {
        let stream = hardened(name);
        let bytes = stream.as_bytes();
        let exit = Exit { code: Some(0), ..Exit::default() };
        let whole = parse_pieces([bytes], &exit);
        let mut at: Vec<usize> = cuts.iter().map(|c| (c * bytes.len() as f64) as usize).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces = at.windows(2).map(|w| &bytes[w[0]..w[1]]);
        prop_assert_eq!(parse_pieces(pieces, &exit), whole);
    }

    #[test]
    fn nothing_that_comes_in_makes_it_panic(
        lines in prop::collection::vec("\\PC{0,40}|\\{\"type\":\"(assistant|user|result|stream_event|system)\".{0,60}\\}", 0..10),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut stream = init().into_bytes();
        for line in lines {
            stream.extend_from_slice(line.as_bytes());
            stream.push(b'\n');
        }
        stream.extend_from_slice(&bytes);
        parse_pieces(stream.chunks(7), &Exit::default());
    }

    #[test]
    fn what_is_streamed_is_what_is_put_out(text in "(<tool_call>|</tool_call>|\\{\"name\":\"a\"\\}|`|\n|/work-area/repob/?|[a-zé <]){0,60}", size in 1usize..7) {
        let chars: Vec<char> = text.chars().collect();
        let pieces: String = chars.chunks(size).map(|c| delta(&c.iter().collect::<String>())).collect();
        let (events, outcome) = parse(&[init(), pieces, result(&text)].concat(), 0);
        if let Outcome::Success { output, .. } = outcome {
            prop_assert_eq!(streamed(&events), output);
        }
    }
}
