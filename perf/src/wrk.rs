//! What wrk prints, read back.

/// The figures of one run of wrk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Requests answered.
    pub requests: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// Median latency, µs.
    pub p50_us: f64,
    /// 99th percentile of the latency, µs: with many connections mostly wrk's own queue.
    pub p99_us: f64,
    /// Connects that failed.
    pub connect_errors: u64,
    /// Reads that failed.
    pub read_errors: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Answers that took longer than two seconds.
    pub timeouts: u64,
    /// Answers with a status of 400 or more (wrk calls them `Non-2xx or 3xx`).
    pub bad_statuses: u64,
}

impl Report {
    /// Everything that went wrong, time-outs aside.
    pub fn errors(&self) -> u64 {
        self.connect_errors + self.read_errors + self.write_errors + self.bad_statuses
    }
}

/// Reads the output of `wrk --latency`; `None` if it is not that.
pub fn parse(output: &str) -> Option<Report> {
    let mut report = Report::default();
    let mut found = false;
    for line in output.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["50%", value] => report.p50_us = micros(value)?,
            ["99%", value] => report.p99_us = micros(value)?,
            [requests, "requests", "in", time, ..] => {
                report.requests = requests.parse().ok()?;
                report.seconds = micros(time.trim_end_matches(','))? / 1e6;
                found = true;
            }
            ["Socket", "errors:", ..] => {
                report.connect_errors = after(&words, "connect")?;
                report.read_errors = after(&words, "read")?;
                report.write_errors = after(&words, "write")?;
                report.timeouts = after(&words, "timeout")?;
            }
            ["Non-2xx", .., count] => report.bad_statuses = count.parse().ok()?,
            _ => {}
        }
    }
    found.then_some(report)
}

fn after(words: &[&str], name: &str) -> Option<u64> {
    let at = words.iter().position(|word| *word == name)?;
    words.get(at + 1)?.trim_end_matches(',').parse().ok()
}

/// A time as wrk writes it, `170.00us`, `1.01ms`, `3.00s`, `1.20m` or `1.00h`, in µs.
fn micros(text: &str) -> Option<f64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3600e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Running 1s test @ http://127.0.0.1:18080/
  1 threads and 512 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     9.53ms    3.54ms  49.86ms   82.57%
    Req/Sec    41.24k     3.21k   45.66k    80.00%
  Latency Distribution
     50%    9.10ms
     75%   11.02ms
     90%   13.00ms
     99%   20.46ms
  41238 requests in 1.01s, 8.10MB read
Requests/sec:  40831.65
Transfer/sec:      8.02MB
";

    #[test]
    fn a_good_run() {
        let expected = Report {
            requests: 41238,
            seconds: 1.01,
            p50_us: 9100.0,
            p99_us: 20460.0,
            ..Report::default()
        };
        assert_eq!(parse(GOOD), Some(expected));
    }

    #[test]
    fn errors_and_timeouts() {
        let lines = "  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5\n";
        let report = parse(&format!("{GOOD}{lines}")).unwrap_or_default();
        assert_eq!((report.errors(), report.timeouts), (11, 4));
    }

    #[test]
    fn units() {
        let check = |text, expected| assert_eq!(micros(text), expected, "{text}");
        check("170.00us", Some(170.0));
        check("1.50s", Some(1.5e6));
        check("2.00m", Some(120e6));
        check("7", None);
        check("7.0x", None);
    }

    #[test]
    fn what_is_no_report() {
        assert_eq!(parse("unable to connect to 127.0.0.1:1 Connection refused\n"), None);
    }
}
