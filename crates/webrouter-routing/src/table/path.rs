//! Paths of one host: a sorted list, one element for almost every host.

use std::sync::Arc;

use crate::route::Route;

/// The routes of one host, sorted by path.
#[derive(Debug, Clone, Default)]
pub struct PathMap {
    routes: Arc<[Arc<Route>]>,
    longest: usize,
}

impl PathMap {
    /// The route whose mountpoint has exactly this path.
    pub fn get(&self, path: &[u8]) -> Option<&Arc<Route>> {
        let at = self.find(path).ok()?;
        self.routes.get(at)
    }

    /// The routes, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    pub(super) fn put(&mut self, route: Arc<Route>) {
        let mut routes = self.routes.to_vec();
        match self.find(route.mountpoint.path().as_bytes()) {
            Ok(at) => routes.splice(at..=at, [route]).for_each(drop),
            Err(at) => routes.insert(at, route),
        }
        self.replace(routes);
    }

    pub(super) fn remove(&mut self, path: &[u8]) {
        if let Ok(at) = self.find(path) {
            let mut routes = self.routes.to_vec();
            routes.remove(at);
            self.replace(routes);
        }
    }

    /// How long the longest path is; no longer prefix needs to be tried.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    fn replace(&mut self, routes: Vec<Arc<Route>>) {
        self.longest = routes.iter().map(|route| route.mountpoint.path().len()).max().unwrap_or(0);
        self.routes = routes.into();
    }

    fn find(&self, path: &[u8]) -> Result<usize, usize> {
        self.routes.binary_search_by(|route| route.mountpoint.path().as_bytes().cmp(path))
    }
}
