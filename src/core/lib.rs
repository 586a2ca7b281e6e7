//! coregate-core
