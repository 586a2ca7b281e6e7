//! coregate-control
