//! Long bodies whose every byte tells its place, so that a lost, doubled or swapped piece shows.

/// A prime below 2^16: no buffer size divides it.
const PERIOD: usize = 65_521;

/// One period of the pattern, twice, so that any piece up to a period long is a slice of it.
fn block() -> &'static [u8] {
    static BLOCK: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BLOCK.get_or_init(|| {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let once: Vec<u8> = (0..PERIOD)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            })
            .collect();
        [once.clone(), once].concat()
    })
}

/// The pattern's bytes from position `at`: at most `length`, at least one.
pub fn piece(at: u64, length: u64) -> &'static [u8] {
    let start = (at % PERIOD as u64) as usize;
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(PERIOD);
    &block()[start..start + length]
}

/// The first `length` bytes.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(length);
    while all.len() < length {
        all.extend_from_slice(piece(all.len() as u64, (length - all.len()) as u64));
    }
    all
}

/// Checks that bytes are the pattern, however they are cut.
#[derive(Debug, Default)]
pub struct Checker {
    pub seen: u64,
}

impl Checker {
    #[track_caller]
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = piece(self.seen, bytes.len() as u64);
            let (front, rest) = bytes.split_at(expected.len());
            assert!(
                front == expected,
                "the body differs within {} bytes of {}",
                front.len(),
                self.seen
            );
            self.seen += front.len() as u64;
            bytes = rest;
        }
    }
}
