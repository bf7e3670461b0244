//! Paths of one host: a sorted list, one element for almost every host; a persistent set where a host has many, so that
//! a changed mountpoint of a crowded host costs its own change only.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use imbl::GenericHashMap;
use imbl::shared_ptr::DefaultSharedPtr;

use crate::mountpoint::Mountpoint;
use crate::route::Route;

/// The routes of one host, sorted by path.
#[derive(Debug, Clone)]
pub struct PathMap {
    routes: Routes,
    /// No mountpoint of the host has a longer path; no longer prefix needs to be tried.
    longest: usize,
}

#[derive(Debug, Clone)]
enum Routes {
    Few(Arc<[Arc<Route>]>),
    Many(Arc<Crowd>),
}

type Crowd = GenericHashMap<ByPath, (), foldhash::fast::RandomState, DefaultSharedPtr>;

/// A route of one host, told from the others by its path.
#[derive(Debug, Clone)]
struct ByPath(Arc<Route>);

impl PathMap {
    /// The paths of a host with one mountpoint.
    pub(super) fn of(route: Arc<Route>) -> Self {
        let longest = route.mountpoint.path().len();
        Self { routes: Routes::Few(Arc::new([route])), longest }
    }

    /// The route whose mountpoint has exactly this path.
    pub fn get(&self, path: &[u8]) -> Option<&Arc<Route>> {
        match &self.routes {
            // Most differ in their length already, for which a text need not be fetched.
            Routes::Few(routes) => routes.iter().find(|route| route.mountpoint.path().as_bytes() == path),
            Routes::Many(routes) => routes.get_key_value(path).map(|(ByPath(route), ())| route),
        }
    }

    /// The routes, sorted by path; not for the request path, because a crowd is sorted each time.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        let sorted: Vec<&Arc<Route>> = match &self.routes {
            Routes::Few(routes) => routes.iter().collect(),
            Routes::Many(routes) => {
                let mut sorted: Vec<&Arc<Route>> = routes.keys().map(|ByPath(route)| route).collect();
                sorted.sort_unstable_by_key(|route| route.mountpoint.path());
                sorted
            }
        };
        sorted.into_iter()
    }

    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    pub(super) fn put(&mut self, route: Arc<Route>) {
        self.longest = self.longest.max(route.mountpoint.path().len());
        match &mut self.routes {
            Routes::Few(routes) => {
                let mut list = routes.to_vec();
                match find(routes, route.mountpoint.path().as_bytes()) {
                    Ok(at) => list.splice(at..=at, [route]).for_each(drop),
                    Err(at) => list.insert(at, route),
                }
                self.routes = Routes::of(list);
            }
            Routes::Many(routes) => drop(Arc::make_mut(routes).insert(ByPath(route), ())),
        }
    }

    /// The paths without one of them; `None` when nothing is left.
    pub(super) fn without(&self, mountpoint: &Mountpoint) -> Option<Self> {
        let path = mountpoint.path().as_bytes();
        match &self.routes {
            Routes::Few(routes) => {
                let others = routes.iter().filter(|route| route.mountpoint.path().as_bytes() != path);
                Self::of_few(others.cloned().collect())
            }
            Routes::Many(routes) => {
                let fewer = routes.without(path);
                if fewer.len() > FEW {
                    Some(Self { routes: Routes::Many(Arc::new(fewer)), longest: self.longest })
                } else {
                    let mut list: Vec<Arc<Route>> = fewer.into_iter().map(|(ByPath(route), ())| route).collect();
                    list.sort_unstable_by(|a, b| a.mountpoint.path().cmp(b.mountpoint.path()));
                    Self::of_few(list)
                }
            }
        }
    }

    fn of_few(list: Vec<Arc<Route>>) -> Option<Self> {
        let longest = list.iter().map(|route| route.mountpoint.path().len()).max()?;
        Some(Self { routes: Routes::of(list), longest })
    }
}

impl Routes {
    fn of(list: Vec<Arc<Route>>) -> Self {
        if list.len() > FEW {
            Self::Many(Arc::new(list.into_iter().map(|route| (ByPath(route), ())).collect()))
        } else {
            Self::Few(list.into())
        }
    }
}

fn find(routes: &[Arc<Route>], path: &[u8]) -> Result<usize, usize> {
    routes.binary_search_by(|route| route.mountpoint.path().as_bytes().cmp(path))
}

impl Borrow<[u8]> for ByPath {
    fn borrow(&self) -> &[u8] {
        self.0.mountpoint.path().as_bytes()
    }
}

impl PartialEq for ByPath {
    fn eq(&self, other: &Self) -> bool {
        self.0.mountpoint.path() == other.0.mountpoint.path()
    }
}

impl Eq for ByPath {}

impl Hash for ByPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let path: &[u8] = self.borrow();
        path.hash(state);
    }
}

/// Up to this many routes a list is smaller and faster than a set.
const FEW: usize = 16;
