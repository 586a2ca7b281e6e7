//! Files in the form of Prometheus' `file_sd`: a list of groups, each with targets and labels.
//!
//! ```json
//! [{ "targets": ["10.0.0.1:9000", "[2001:db8::1]:9000"], "labels": { "weight": "5" } }]
//! ```
//!
//! Targets are addresses; names are not looked up. The label `weight` is the weight of a group's targets; other labels say
//! nothing here. A file is taken whole or not at all: one that cannot be read, or is half written, leaves what was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use coregate_core::base::limits;
use coregate_core::snapshot::plan::Address;
use rustix::fs::OFlags;
use serde::Deserialize;
use serde_json::Value;

use super::keeper::Instances;

/// Some targets.
#[derive(Deserialize)]
struct Group {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, Value>,
}

/// Reads a file.
///
/// # Errors
/// It is missing, no plain file, too large, or says something else.
pub(super) fn read(path: &Path) -> Result<Instances, String> {
    let io = |error: std::io::Error| error.to_string();
    // Whoever opens a pipe waits for its other end, and it may have become one since it was looked at.
    let at_once = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(at_once).open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err("not a file".to_owned());
    }
    let mut text = Vec::new();
    let most = limits::FILE_SD_BYTES;
    file.take(most + 1).read_to_end(&mut text).map_err(io)?;
    if text.len() as u64 > most {
        return Err(format!("more than {most} bytes"));
    }
    parse(&text)
}

/// The instances that a text names.
fn parse(text: &[u8]) -> Result<Instances, String> {
    let groups: Vec<Group> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut instances = Vec::new();
    for (number, Group { targets, labels }) in (1..).zip(groups) {
        let weight = labels.get("weight").map(|weight| {
            let read = match weight {
                Value::String(text) => text.parse().ok(),
                number => number.as_u64(),
            };
            let read = read.filter(|read| (1..=u64::from(limits::INSTANCE_WEIGHT)).contains(read));
            let most = limits::INSTANCE_WEIGHT;
            read.ok_or(format!("group {number}: weight {weight}: expected 1 to {most}"))
        });
        let weight = weight.transpose()?.unwrap_or(1) as u32;
        for (place, target) in (1..).zip(targets) {
            let address = target.parse::<Address>().map_err(|error| error.to_string());
            let address = address.and_then(|address| match &address {
                Address::Tcp(tcp) if tcp.port() == 0 => Err(format!("{tcp}: port 0")),
                Address::Tcp(tcp) if address.is_nobodys() => Err(format!("{tcp}: nobody is there")),
                Address::Tcp(_) | Address::Unix(_) => Ok(address),
            });
            let address =
                address.map_err(|why| format!("group {number}, target {place}: {why}"))?;
            instances.push((address, weight));
        }
    }
    Ok(instances)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(text: &str, expected: Result<&[(&str, u32)], &str>) {
        let read = parse(text.as_bytes());
        let expected = expected.map(|all| {
            all.iter().map(|(address, weight)| (address.parse().unwrap(), *weight)).collect()
        });
        assert_eq!(
            read.as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|why| *why),
            "{text}"
        );
    }

    #[test]
    fn groups_become_instances() {
        says("[]", Ok(&[]));
        says(r#"[{"targets": ["10.0.0.1:80"]}]"#, Ok(&[("10.0.0.1:80", 1)]));
        let text = r#" [
            { "targets": ["10.0.0.1:80", "[::1]:81"], "labels": { "weight": "5", "env": "x" } },
            { "targets": ["unix:/run/a.sock"], "labels": { "weight": 7, "n": [1] }, "other": {} }
        ]"#;
        says(text, Ok(&[("10.0.0.1:80", 5), ("[::1]:81", 5), ("unix:/run/a.sock", 7)]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        says("", Err("EOF while parsing a value at line 1 column 0"));
        says("[{\n \"targets\": [", Err("EOF while parsing a list at line 2 column 13"));
        says("{}", Err("invalid type: map, expected a sequence at line 1 column 0"));
        says("[{\"labels\": {}}]", Err("missing field `targets` at line 1 column 15"));
        says(
            &"[".repeat(1_000),
            Err("invalid type: sequence, expected a string at line 1 column 3"),
        );
        let host = r#"[{"targets": []}, {"targets": ["10.0.0.1:1", "users:80"]}]"#;
        let why = "group 2, target 2: \"users:80\": expected an IP address and port; names are not looked up";
        says(host, Err(why));
        says(r#"[{"targets": ["10.0.0.1:0"]}]"#, Err("group 1, target 1: 10.0.0.1:0: port 0"));
        let nobody = "group 1, target 1: 0.0.0.0:80: nobody is there";
        says(r#"[{"targets": ["0.0.0.0:80"]}]"#, Err(nobody));
        for weight in ["0", "65536", "-1", "\"x\"", "null", "1.5", "\"65536\""] {
            let text = format!(r#"[{{"targets": [], "labels": {{"weight": {weight}}}}}]"#);
            says(&text, Err(&format!("group 1: weight {weight}: expected 1 to 65535")));
        }
    }

    #[test]
    fn a_file_is_plain_and_no_larger_than_it_may_be() {
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err(), "not a file");
        assert!(read(Path::new("/none")).unwrap_err().starts_with("No such file"));
        let path = std::env::temp_dir().join(format!("coregate-sd-{}", std::process::id()));
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        assert_eq!(read(&path).unwrap_err(), "not a file", "and nobody waited");
        std::fs::remove_file(&path).unwrap();
        File::create(&path).unwrap().set_len(limits::FILE_SD_BYTES + 1).unwrap();
        assert_eq!(read(&path).unwrap_err(), "more than 4194304 bytes");
        std::fs::write(&path, "[]").unwrap();
        assert_eq!(read(&path), Ok(Vec::new()));
        std::fs::remove_file(&path).unwrap();
    }
}
