//! Medians and spreads of a few samples.

/// The middle of some samples and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

/// The spread of the samples; `None` of no samples.
pub fn spread(samples: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut sorted: Vec<f64> = samples.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    };
    Some(Spread { min, median, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(samples: &[f64], expected: Option<(f64, f64, f64)>) {
        let expected = expected.map(|(min, median, max)| Spread { min, median, max });
        assert_eq!(spread(samples.iter().copied()), expected, "{samples:?}");
    }

    #[test]
    fn medians() {
        check(&[], None);
        check(&[4.0], Some((4.0, 4.0, 4.0)));
        check(&[9.0, 1.0], Some((1.0, 5.0, 9.0)));
        check(&[3.0, 100.0, 1.0], Some((1.0, 3.0, 100.0)));
        check(&[5.0, 1.0, 4.0, 2.0], Some((1.0, 3.0, 5.0)));
    }
}
