//! `coregate routes`.

use coregate_control::io::admin::explain::{Page, RouteView, RoutesView};
use coregate_core::base::limits;
use serde_json::json;

use super::{Load, Of, settings, snapshot};
use crate::server::commands::Call;
use crate::server::{Exit, say};

/// Lists the routes.
pub(super) fn run(of: &Of, load: Load<'_>) -> Result<Exit, Exit> {
    let view = match &of.config {
        Some(path) => RoutesView::of(&snapshot(&settings(path, load)?.plan)?, Page::ALL),
        None => live(|target| of.to.read(&Call::get(target)))?,
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

/// All routes of a running process, page by page, from the first anew where they changed meanwhile.
fn live(read: impl Fn(&str) -> Result<RoutesView, Exit>) -> Result<RoutesView, Exit> {
    let page =
        |from: usize| read(&format!("/v1/routes?from={from}&limit={}", limits::ROUTES_PAGE_MAX));
    for _ in 0..limits::ROUTES_TRIES {
        let mut all = page(0)?;
        while let Some(from) = all.next.filter(|from| *from == all.routes.len()) {
            let RoutesView { generation, edition, next, routes, .. } = page(from)?;
            if edition != all.edition || routes.is_empty() {
                break;
            }
            (all.generation, all.next) = (generation, next);
            all.routes.extend(routes);
        }
        if all.next.is_none() {
            return Ok(all);
        }
    }
    say::message("the routes change while they are read: try again");
    Err(Exit::Failed)
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
    use std::cell::Cell;

    use super::*;

    /// A process with so many routes, whose pages are this long, and which changes with the page of this number.
    fn paged(total: usize, length: usize, changes: usize) -> (Result<usize, Exit>, usize) {
        let asked = Cell::new(0);
        let read = |target: &str| {
            asked.set(asked.get() + 1);
            let from = target.split(['=', '&']).nth(1).and_then(|from| from.parse().ok());
            let from: usize = from.expect("a number");
            let route = RouteView {
                name: String::new(),
                host: String::new(),
                methods: Vec::new(),
                path: String::new(),
                predicates: Vec::new(),
                priority: 0,
                action: String::new(),
                services: Vec::new(),
            };
            let end = total.min(from + length);
            Ok(RoutesView {
                generation: 1,
                total,
                next: (end < total).then_some(end),
                edition: (asked.get() >= changes).to_string(),
                routes: vec![route; end.saturating_sub(from)],
            })
        };
        (live(read).map(|all| all.routes.len()), asked.get())
    }

    #[test]
    fn pages_are_put_together() {
        assert_eq!(paged(0, 10, 99), (Ok(0), 1));
        assert_eq!(paged(10, 10, 99), (Ok(10), 1));
        assert_eq!(paged(25, 10, 99), (Ok(25), 3));
        assert_eq!(paged(25, 10, 3), (Ok(25), 6), "from the first anew");
        assert_eq!(paged(25, 0, 99), (Err(Exit::Failed), 8), "pages of nothing");
    }

    #[test]
    fn columns_are_aligned() {
        let long = "x".repeat(limits::EXPLAIN_COLUMN + 1);
        let rows = [["a", "bcd"], [&long, ""], ["", "b"]].map(|row| row.map(str::to_owned));
        let lines = table(&["ONE", "TWO"], &rows);
        assert_eq!(lines, ["ONE  TWO", "a    bcd", &long, "     b"]);
    }
}
