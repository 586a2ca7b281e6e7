//! How the control plane says something to the operator: the server has the terminal, and lends its voice.

/// Says one line.
#[derive(Debug, Clone, Copy)]
pub struct Voice(fn(&str));

impl Voice {
    /// Says lines by this.
    pub fn new(say: fn(&str)) -> Self {
        Self(say)
    }

    /// Says it.
    pub fn say(self, line: &str) {
        (self.0)(line);
    }
}
