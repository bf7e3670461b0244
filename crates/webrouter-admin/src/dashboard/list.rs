//! Long lists: searched and paged by the server, with links that work without JavaScript.

use maud::{Markup, html};
use serde::Deserialize;

use super::words::{count, escaped};

/// What of a list is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Words that all must be there.
    #[serde(default)]
    q: String,
    /// Which page, from 1.
    #[serde(default)]
    page: usize,
}

/// One page of what was found.
pub(super) struct Found<T> {
    pub(super) rows: Vec<T>,
    pub(super) total: usize,
    page: usize,
}

impl Asked {
    /// The words, in small letters.
    pub(super) fn words(&self) -> Vec<String> {
        self.q.split_whitespace().take(MAX_WORDS).map(str::to_lowercase).collect()
    }

    /// The page asked for, or the last one there is.
    pub(super) fn page_of<T>(&self, found: impl Iterator<Item = T>) -> Found<T> {
        let mut found: Vec<T> = found.collect();
        let total = found.len();
        let page = self.page.clamp(1, total.div_ceil(ROWS).max(1));
        let rows = found.drain((page - 1) * ROWS..total.min(page * ROWS)).collect();
        Found { rows, total, page }
    }

    /// The field to search with.
    pub(super) fn search(&self, path: &str, label: &str, hint: &str) -> Markup {
        html! {
            form.search role="search" action=(path) {
                label for="q" { (label) }
                div {
                    input #q type="search" name="q" value=(self.q) placeholder=(hint) autocomplete="off" spellcheck="false"
                        maxlength="200" data-filter;
                    button { "Search" }
                }
            }
        }
    }

    /// Links to the pages beside this one.
    pub(super) fn pages<T>(&self, path: &str, found: &Found<T>) -> Markup {
        let last = found.total.div_ceil(ROWS).max(1);
        let to = |page: usize| format!("{path}?q={}&page={page}", escaped(&self.q));
        let at = found.page;
        html! {
            @if last > 1 {
                nav.paging aria-label="Pages of the list" {
                    @if at > 1 { a rel="prev" href=(to(at - 1)) { "← Previous" } } @else { span.dim { "← Previous" } }
                    span { "Page " (count(at)) " of " (count(last)) }
                    @if at < last { a rel="next" href=(to(at + 1)) { "Next →" } } @else { span.dim { "Next →" } }
                }
            }
        }
    }

    /// Whether all is asked for.
    pub(super) fn is_all(&self) -> bool {
        self.q.trim().is_empty()
    }
}

const ROWS: usize = 100;
const MAX_WORDS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_there_is_the_last_one() {
        let check = |page: usize, total: usize, first: Option<usize>, rows: usize| {
            let found = Asked { page, ..Asked::default() }.page_of(0..total);
            assert_eq!((found.rows.first().copied(), found.rows.len()), (first, rows), "page {page} of {total}");
        };
        check(0, 250, Some(0), 100);
        check(1, 250, Some(0), 100);
        check(3, 250, Some(200), 50);
        check(usize::MAX, 250, Some(200), 50);
        check(1, 0, None, 0);
    }

    #[test]
    fn what_is_asked_comes_back_escaped() {
        let asked = Asked { q: "\"><script>".into(), page: 1 };
        let page =
            asked.search("/map", "", "").into_string() + &asked.pages("/map", &asked.page_of(0..300)).into_string();
        assert!(!page.contains("<script"), "{page}");
    }
}
