//! coregate-config
