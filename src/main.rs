//! The binary `coregate`.
fn main() {}
