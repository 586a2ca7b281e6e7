//! coregate-data
