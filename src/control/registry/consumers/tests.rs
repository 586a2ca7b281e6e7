//! Orders about consumers.
