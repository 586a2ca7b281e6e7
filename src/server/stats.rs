//! Counters as JSON: `{"workers": [{...}, ...], "total": {...}}`, with rejects by reason under `rejected`, and what came of asking who
//! calls under `authentications`.

use std::fs;
use std::io;
use std::path::Path;

use coregate_data::worker::post::Posts;
use serde_json::{Map, Value, json};

/// Writes every counter to `path`: to a new file beside it first, so that nobody reads half of it.
pub(crate) fn write(path: &Path, posts: &Posts) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    fs::write(&name, format!("{:#}\n", collect(posts)))?;
    fs::rename(&name, path)
}

fn collect(posts: &Posts) -> Value {
    let (mut total, mut total_rejected, mut total_asked) = (Map::new(), Map::new(), Map::new());
    let mut workers = Vec::new();
    for post in posts.all() {
        let (mut worker, mut rejected, mut asked) = (Map::new(), Map::new(), Map::new());
        for (name, count) in post.stats.named() {
            add(&mut worker, name, count);
            add(&mut total, name, count);
        }
        for (reason, count) in post.stats.rejects() {
            add(&mut rejected, reason, count);
            add(&mut total_rejected, reason, count);
        }
        for (result, count) in post.stats.authentications() {
            add(&mut asked, result, count);
            add(&mut total_asked, result, count);
        }
        worker.insert("rejected".into(), rejected.into());
        worker.insert("authentications".into(), asked.into());
        workers.push(Value::from(worker));
    }
    total.insert("rejected".into(), total_rejected.into());
    total.insert("authentications".into(), total_asked.into());
    json!({ "workers": workers, "total": total })
}

fn add(map: &mut Map<String, Value>, name: &str, count: u64) {
    let sum = map.get(name).and_then(Value::as_u64).unwrap_or(0) + count;
    map.insert(name.into(), sum.into());
}
