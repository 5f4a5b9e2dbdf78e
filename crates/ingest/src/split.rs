//! Cuts a body into records without touching their bytes: one record per line, a JSON array of records, or one
//! `{"Records": […]}` document. Holds one record at most, whatever comes.

use bytes::{Bytes, BytesMut};
use opentrail_model::{MAX_RECORD_BYTES, RecordError};

use crate::record;

/// The body is not framed as records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FramingError {
    /// The byte of the decoded body.
    pub(crate) offset: u64,
    pub(crate) reason: &'static str,
}

/// Bytes that are cut at one go: between, other requests have their turn.
const TURN_BYTES: usize = 64 << 10;

/// What stood where a record should: its bytes, or why they were not kept.
pub(crate) type Piece = Result<Bytes, RecordError>;

/// The cutter. Feed it with [`push`](Self::push), then [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Splitter {
    state: State,
    /// The decoded bytes before the chunk at hand.
    offset: u64,
    piece: Gather,
    nesting: Nesting,
    key: Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far.
    Start,
    /// Within the first object: a document or the first line?
    First,
    /// One record per line.
    Lines,
    /// Before an element of an array; `comma` when one must or may not come.
    Between { inside: Inside, comma: Comma },
    /// Within an element.
    Element { inside: Inside },
    /// Within a document, before or after its records.
    Document,
    /// After the end of the array or document.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Array,
    Document,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comma {
    /// The array just began: an element or its end.
    First,
    /// After an element: a comma or the end.
    Needed,
    /// After a comma: an element.
    Seen,
}

impl Splitter {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Start,
            offset: 0,
            piece: Gather::default(),
            nesting: Nesting::default(),
            key: Key::default(),
        }
    }

    /// Cuts some of the body's next chunk, from its byte `from` on; what is complete goes to `out`. Returns where the
    /// next call has to go on in the same chunk: at its length once all of it is cut.
    pub(crate) fn push(&mut self, chunk: &Bytes, from: usize, out: &mut Vec<Piece>) -> Result<usize, FramingError> {
        let until = chunk.len().min(from + TURN_BYTES);
        let mut at = from;
        while at < until {
            at = self.step(chunk, at, out)?;
        }
        if at == chunk.len() {
            self.piece.end_of_chunk(chunk);
            self.offset += chunk.len() as u64;
        }
        Ok(at)
    }

    /// The body ends here.
    pub(crate) fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), FramingError> {
        if self.state == State::First {
            self.first_was_lines(out);
        }
        let missing = match self.state {
            State::Start | State::End => return Ok(()),
            State::Lines | State::First => {
                push_line(self.piece.take(), out);
                return Ok(());
            }
            State::Between { .. } => "the body ends within the array of records",
            State::Element { .. } => "the body ends within a record",
            State::Document => "the body ends within the document",
        };
        Err(FramingError { offset: self.offset, reason: missing })
    }

    /// Looks at the byte `at` of the chunk and perhaps some more; returns where to go on.
    fn step(&mut self, chunk: &Bytes, at: usize, out: &mut Vec<Piece>) -> Result<usize, FramingError> {
        let byte = chunk[at];
        let error = |reason| Err(FramingError { offset: self.offset + at as u64, reason });
        match self.state {
            State::Start => match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                // A byte order mark.
                0xEF if self.offset + at as u64 == 0 => {}
                0xBB if self.offset + at as u64 == 1 => {}
                0xBF if self.offset + at as u64 == 2 => {}
                b'[' => self.state = State::Between { inside: Inside::Array, comma: Comma::First },
                b'{' => {
                    self.piece.begin(at);
                    self.begin_nesting();
                    self.state = State::First;
                    return Ok(at);
                }
                _ => {
                    self.piece.begin(at);
                    self.state = State::Lines;
                    return Ok(at);
                }
            },
            State::First => match self.nesting.feed(byte) {
                // Broken, but perhaps only in its first line.
                Fed::Mismatch => self.first_is_lines(chunk, at + 1, out),
                Fed::Closed => {
                    let whole = self.piece.cut(chunk, at + 1);
                    match whole {
                        // One record, over several lines perhaps.
                        Ok(bytes) if record::check(&bytes).is_ok() || !bytes.contains(&b'\n') => out.push(Ok(bytes)),
                        other => push_lines(other, out),
                    }
                    self.piece.begin(at + 1);
                    self.state = State::Lines;
                }
                Fed::Inside => {
                    let records = self.key.feed(&self.nesting, byte);
                    if records {
                        self.piece.forget();
                        self.state = State::Between { inside: Inside::Document, comma: Comma::First };
                    } else if self.piece.size(at + 1) > MAX_RECORD_BYTES {
                        self.first_is_lines(chunk, at + 1, out);
                    }
                }
            },
            State::Lines => {
                let Some(end) = memchr::memchr(b'\n', &chunk[at..]).map(|found| at + found) else {
                    return Ok(chunk.len());
                };
                push_line(self.piece.cut(chunk, end), out);
                self.piece.begin(end + 1);
                return Ok(end + 1);
            }
            State::Between { inside, comma } => match (byte, comma) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => {}
                (b',', Comma::Needed) => self.state = State::Between { inside, comma: Comma::Seen },
                (b']', Comma::First | Comma::Needed) => {
                    self.state = match inside {
                        Inside::Array => State::End,
                        Inside::Document => {
                            // The nesting stood still meanwhile: this closes the bracket that it saw last.
                            self.nesting.feed(byte);
                            State::Document
                        }
                    };
                }
                (b']', Comma::Seen) => return error("a comma is followed by no record"),
                (_, Comma::Needed) => return error("a comma is missing between two records"),
                (b',' | b':' | b'}', _) => return error("a record is missing here"),
                (_, Comma::First | Comma::Seen) => {
                    self.piece.begin(at);
                    self.piece.nesting = Nesting::default();
                    self.state = State::Element { inside };
                    return Ok(at);
                }
            },
            State::Element { inside } => {
                let after = State::Between { inside, comma: Comma::Needed };
                let nesting = &mut self.piece.nesting;
                if nesting.is_outside() && matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n') {
                    // A number or a word ended before this byte.
                    out.push(self.piece.cut(chunk, at));
                    self.state = after;
                    return Ok(at);
                }
                if nesting.in_string && !nesting.escaped {
                    match memchr::memchr2(b'"', b'\\', &chunk[at..]) {
                        Some(0) => {}
                        skip => return Ok(skip.map_or(chunk.len(), |skip| at + skip)),
                    }
                }
                match nesting.feed(byte) {
                    Fed::Mismatch => return error("a bracket is closed by another kind"),
                    Fed::Closed => {
                        out.push(self.piece.cut(chunk, at + 1));
                        self.state = after;
                    }
                    Fed::Inside => {}
                }
            }
            State::Document => match self.nesting.feed(byte) {
                Fed::Mismatch => return error("a bracket is closed by another kind"),
                Fed::Closed => self.state = State::End,
                Fed::Inside if self.key.feed(&self.nesting, byte) => {
                    self.state = State::Between { inside: Inside::Document, comma: Comma::First };
                }
                Fed::Inside => {}
            },
            State::End if byte.is_ascii_whitespace() => {}
            State::End => return error("something follows the end of the records"),
        }
        Ok(at + 1)
    }

    fn begin_nesting(&mut self) {
        self.nesting = Nesting::default();
        self.key = Key::default();
    }

    /// The first object turned out to be no document: what was gathered is lines, the last of them unfinished.
    fn first_is_lines(&mut self, chunk: &Bytes, to: usize, out: &mut Vec<Piece>) {
        self.piece.end_of_chunk(&chunk.slice(..to));
        self.first_was_lines(out);
        self.piece.begin_again(to);
    }

    fn first_was_lines(&mut self, out: &mut Vec<Piece>) {
        let gathered = std::mem::take(&mut self.piece);
        let mut bytes = gathered.carry.freeze();
        let size = gathered.carried;
        while let Some(end) = memchr::memchr(b'\n', &bytes) {
            push_line(Ok(bytes.split_to(end)), out);
            let _newline = bytes.split_to(1);
        }
        // What is left is the beginning of a line that goes on. If bytes were dropped, it is too large anyway.
        let dropped = size > MAX_RECORD_BYTES + 1;
        self.piece.carried = if dropped { size } else { bytes.len() };
        self.piece.carry = BytesMut::from(&bytes[..]);
        self.state = State::Lines;
    }
}

fn push_line(line: Piece, out: &mut Vec<Piece>) {
    match line {
        Ok(bytes) => {
            let start = bytes.len() - bytes.trim_ascii_start().len();
            let trimmed = bytes.slice(start..start + bytes.trim_ascii().len());
            if !trimmed.is_empty() {
                out.push(Ok(trimmed));
            }
        }
        refused => out.push(refused),
    }
}

fn push_lines(lines: Piece, out: &mut Vec<Piece>) {
    match lines {
        Ok(bytes) => bytes.split(|byte| *byte == b'\n').for_each(|line| push_line(Ok(bytes.slice_ref(line)), out)),
        refused => out.push(refused),
    }
}

/// Gathers one piece over chunk borders, without copying where it lies within one chunk.
#[derive(Debug, Default)]
struct Gather {
    /// Where it begins in the chunk at hand; `None` between pieces.
    start: Option<usize>,
    /// What earlier chunks gave, cut off at the size of a record and a byte.
    carry: BytesMut,
    /// How much earlier chunks gave.
    carried: usize,
    /// Where the piece stands, if it is an element.
    nesting: Nesting,
}

impl Gather {
    fn begin(&mut self, at: usize) {
        self.start = Some(at);
        self.carry.clear();
        self.carried = 0;
    }

    /// Goes on with what was carried, from `at` in the chunk at hand.
    fn begin_again(&mut self, at: usize) {
        self.start = Some(at);
    }

    fn forget(&mut self) {
        self.start = None;
        self.carry.clear();
        self.carried = 0;
    }

    /// The piece's size if it ended before `end`.
    fn size(&self, end: usize) -> usize {
        self.carried + end.saturating_sub(self.start.unwrap_or(end))
    }

    /// Keeps the part of the piece that the chunk holds; it goes on with the next chunk.
    fn end_of_chunk(&mut self, chunk: &Bytes) {
        if let Some(start) = self.start {
            let part = &chunk[start.min(chunk.len())..];
            self.carried += part.len();
            let room = (MAX_RECORD_BYTES + 1).saturating_sub(self.carry.len());
            self.carry.extend_from_slice(&part[..part.len().min(room)]);
            self.start = Some(0);
        }
    }

    /// The piece, which ends before `end` of the chunk at hand.
    fn cut(&mut self, chunk: &Bytes, end: usize) -> Piece {
        let start = self.start.take().unwrap_or(end);
        if self.carried == 0 {
            return sized(chunk.slice(start..end), end - start);
        }
        self.start = Some(start);
        self.end_of_chunk(&chunk.slice(..end));
        self.take()
    }

    /// The piece, which ended with the last chunk.
    fn take(&mut self) -> Piece {
        let (bytes, size) = (self.carry.split().freeze(), std::mem::take(&mut self.carried));
        self.start = None;
        sized(bytes, size)
    }
}

fn sized(bytes: Bytes, size: usize) -> Piece {
    // A carriage return or white space may still come off a line: the check of the record judges by its own bytes.
    if size > MAX_RECORD_BYTES + 1 || (size > MAX_RECORD_BYTES && bytes.last() != Some(&b'\r')) {
        Err(RecordError::TooLarge { size_bytes: size })
    } else {
        Ok(bytes)
    }
}

/// Follows brackets and texts, whatever else stands between them.
#[derive(Clone, Copy, Debug, Default)]
struct Nesting {
    depth: usize,
    /// The kinds of the outer 64 levels, a bit each: 1 for an array. Deeper ones are only counted: a record with more
    /// levels is refused anyway.
    kinds: u64,
    in_string: bool,
    escaped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    Inside,
    /// The outermost bracket, or a text outside of any, was closed.
    Closed,
    Mismatch,
}

impl Nesting {
    /// Whether neither a bracket nor a text is open.
    fn is_outside(&self) -> bool {
        self.depth == 0 && !self.in_string
    }

    fn feed(&mut self, byte: u8) -> Fed {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    if self.depth == 0 {
                        return Fed::Closed;
                    }
                }
                _ => {}
            }
            return Fed::Inside;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                if self.depth < 64 {
                    let bit = 1 << self.depth;
                    self.kinds = if byte == b'[' { self.kinds | bit } else { self.kinds & !bit };
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                let Some(depth) = self.depth.checked_sub(1) else { return Fed::Mismatch };
                self.depth = depth;
                if depth < 64 && (self.kinds >> depth & 1 == 1) != (byte == b']') {
                    return Fed::Mismatch;
                }
                if depth == 0 {
                    return Fed::Closed;
                }
            }
            _ => {}
        }
        Fed::Inside
    }
}

/// Waits for `"Records": [` among a document's own members.
#[derive(Clone, Copy, Debug, Default)]
struct Key {
    /// How much of [`KEY`] was seen.
    matched: usize,
    /// After the whole key: after its colon too.
    colon: bool,
    was_in_string: bool,
}

const KEY: &[u8] = b"\"Records\"";

impl Key {
    /// Takes note of a byte that `nesting` was just fed with; whether it opens the array of records.
    fn feed(&mut self, nesting: &Nesting, byte: u8) -> bool {
        if self.matched == KEY.len() && !nesting.in_string {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => return false,
                b':' if !self.colon => {
                    self.colon = true;
                    return false;
                }
                b'[' if self.colon && nesting.depth == 2 => {
                    *self = Self::default();
                    return true;
                }
                _ => {}
            }
            *self = Self::default();
        }
        // A match begins with the quote that opens a text, not with an escaped one inside.
        let opened = nesting.in_string && !self.was_in_string;
        self.was_in_string = nesting.in_string;
        let goes_on = nesting.depth == 1 && KEY.get(self.matched) == Some(&byte) && (self.matched > 0 || opened);
        self.matched = if goes_on { self.matched + 1 } else { 0 };
        self.colon = false;
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pieces of a body that comes in these chunks.
    fn split(chunks: &[&[u8]]) -> (Vec<Piece>, Result<(), FramingError>) {
        let (mut splitter, mut out) = (Splitter::new(), Vec::new());
        for chunk in chunks {
            let (chunk, mut at) = (Bytes::copy_from_slice(chunk), 0);
            while at < chunk.len() {
                match splitter.push(&chunk, at, &mut out) {
                    Ok(next) => at = next,
                    Err(error) => return (out, Err(error)),
                }
            }
        }
        let ended = splitter.finish(&mut out);
        (out, ended)
    }

    fn texts(body: &str) -> Vec<String> {
        let whole = split(&[body.as_bytes()]);
        let by_byte: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
        assert_eq!(split(&by_byte), whole, "one byte at a time");
        assert_eq!(whole.1, Ok(()), "{body}");
        whole.0.into_iter().map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap()).collect()
    }

    fn framing(body: &str) -> (usize, u64) {
        let (pieces, ended) = split(&[body.as_bytes()]);
        (pieces.len(), ended.expect_err(body).offset)
    }

    #[test]
    fn every_framing_gives_the_same_records_untouched() {
        let records = [r#"{"a": [1, {"b":"]}\"\\"}] }"#, r#"{"Records":"x","b":{"Records":[1]}}"#, "{}"];
        let [a, b, c] = records;
        for body in [
            format!("{a}\n{b}\n{c}"),
            format!("\u{feff}{a}\r\n\r\n  {b} \n{c}\n\n"),
            format!("[{a},{b},{c}]"),
            format!(" [ {a} ,\n {b},{c}\n]\n"),
            format!(r#"{{"Records":[{a},{b},{c}]}}"#),
            format!(
                "{{\n \"x\": {{\"Records\": [5]}}, \"y\":\"Records\",\n \"Records\" : [\n{a},\n{b},{c}], \"z\": [[]]}}\n"
            ),
            format!(r#"{{"Records":[{a}],"a":"\"Records\"","x\"Records":[5],"Records":[{b},{c}]}}"#),
        ] {
            assert_eq!(texts(&body), records, "{body}");
        }
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts("[]"), [""; 0]);
        assert_eq!(texts("{\"Records\":[]}"), [""; 0]);
        assert_eq!(texts("[1, \"a,b\",null,[2]]"), ["1", "\"a,b\"", "null", "[2]"]);
    }

    #[test]
    fn one_record_over_several_lines_is_one_record() {
        assert_eq!(texts("{\n \"a\": 1\n}\n{\"b\":2}"), ["{\n \"a\": 1\n}", "{\"b\":2}"]);
    }

    #[test]
    fn a_broken_first_line_does_not_take_the_others_with_it() {
        assert_eq!(texts("{\"a\":\n{\"b\":2}\n{\"c\":3}"), ["{\"a\":", "{\"b\":2}", "{\"c\":3}"]);
        assert_eq!(texts("{\"a\":]\n{\"b\":2}"), ["{\"a\":]", "{\"b\":2}"]);
        assert_eq!(texts("nonsense\n{\"b\":2}"), ["nonsense", "{\"b\":2}"]);
    }

    #[test]
    fn broken_framing_names_the_byte_and_keeps_what_came_before() {
        assert_eq!(framing("[{},{} {}]"), (2, 7));
        assert_eq!(framing("[{},]"), (1, 4));
        assert_eq!(framing("[,]"), (0, 1));
        assert_eq!(framing("[{}] x"), (1, 5));
        assert_eq!(framing("[{},{\"a\":]"), (1, 9));
        assert_eq!(framing("[{},{\"a\":"), (1, 9));
        assert_eq!(framing("{\"Records\":[{}"), (1, 14));
        assert_eq!(framing("{\"Records\":[{}]"), (1, 15));
    }

    #[test]
    fn too_large_pieces_are_skipped_and_their_neighbours_kept() {
        let big = format!("{{\"a\":\"{}\"}}", "x".repeat(3 * MAX_RECORD_BYTES));
        for body in
            [format!("[{{}},{big},{{}}]"), format!("{{\"Records\":[{{}},{big},{{}}]}}"), format!("{{}}\n{big}\n{{}}")]
        {
            for size in [1000, 1 << 16, body.len()] {
                let chunks: Vec<&[u8]> = body.as_bytes().chunks(size).collect();
                let (pieces, ended) = split(&chunks);
                assert_eq!(ended, Ok(()));
                assert_eq!(pieces[1], Err(RecordError::TooLarge { size_bytes: big.len() }));
                assert_eq!((pieces.len(), &pieces[2]), (3, &Ok(Bytes::from_static(b"{}"))));
            }
        }
        let (pieces, ended) = split(&[format!("{big}\n{{}}").as_bytes()]);
        assert_eq!((pieces.len(), ended), (2, Ok(())));
        assert!(matches!(pieces[0], Err(RecordError::TooLarge { .. })));
    }

    #[test]
    fn a_text_that_never_ends_is_looked_at_once() {
        // Looked at again for each of its bytes, this would take hours.
        let body = format!("[{{}},\"{}", "x".repeat(32 << 20));
        let (pieces, ended) = split(&[body.as_bytes()]);
        assert_eq!((pieces.len(), ended.unwrap_err().offset), (1, body.len() as u64));
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            body in prop_oneof![
                r#"[\[\]{}", a1:\\\n]{0,60}"#,
                r#"\{("x":[1{},]{0,3},)?"Records": ?\[(\{"a":"[\]},]{0,3}"\},){0,4}\{\}\](,"Records":\[\])?\}"#,
            ],
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bytes = body.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(&chunks), split(&[bytes]));
        }
    }
}
