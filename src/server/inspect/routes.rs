//! `coregate routes`.

use coregate_control::io::admin::explain::{RouteView, RoutesView};
use coregate_core::base::limits;
use serde_json::json;

use super::{Load, Of, settings, snapshot};
use crate::server::commands::Call;
use crate::server::{Exit, say};

/// Lists the routes.
pub(super) fn run(of: &Of, load: Load<'_>) -> Result<Exit, Exit> {
    let view = match &of.config {
        Some(path) => RoutesView::of(&snapshot(&settings(path, load)?.plan)?),
        None => of.to.read(&Call::get("/v1/routes"))?,
    };
    if of.to.is_json() {
        say::data(json!(view));
    } else {
        let rows: Vec<_> = view.routes.iter().map(row).collect();
        table(&["HOST", "METHODS", "PATH", "PREDICATES", "PRIORITY", "ACTION", "NAME"], &rows)
            .iter()
            .for_each(say::data);
    }
    Ok(Exit::Ok)
}

fn row(route: &RouteView) -> [String; 7] {
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    [
        route.host.clone(),
        or(route.methods.join(","), "any"),
        route.path.clone(),
        or(route.predicates.join(" "), "-"),
        route.priority.to_string(),
        route.action.clone(),
        route.name.clone(),
    ]
}

/// Rows under their titles, each column as wide as its widest text; one that is wider than a column may be pushes its own row
/// alone.
fn table<const N: usize>(titles: &[&str; N], rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        let all = rows.iter().map(|row| row[column].chars().count());
        let fitting = all.filter(|width| *width <= limits::EXPLAIN_COLUMN).max();
        fitting.unwrap_or_default().max(titles[column].len())
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: [&str; N]| {
        let cells = row.iter().zip(widths).map(|(text, width)| format!("{text:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    [line(*titles)].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let long = "x".repeat(limits::EXPLAIN_COLUMN + 1);
        let rows = [["a", "bcd"], [&long, ""], ["", "b"]].map(|row| row.map(str::to_owned));
        let lines = table(&["ONE", "TWO"], &rows);
        assert_eq!(lines, ["ONE  TWO", "a    bcd", &long, "     b"]);
    }
}
