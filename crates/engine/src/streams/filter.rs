//! Which events a reader of many streams wants.

use super::{
    id::StreamKey,
    pieces::{Class, class_of},
};
use crate::catalog::{Catalog, Keyspace};
use std::sync::Arc;

/// Which events are wanted: all, of a category, of a stream in it, of types of some names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) space: Option<u32>,
    pub(crate) stream: Option<StreamKey>,
    /// None: of all types.
    pub(crate) type_names: Vec<String>,
    /// Those of streams that are archived are wanted too.
    pub(crate) with_archived: bool,
    /// Types that were asked for, by category and number, and whether they are wanted.
    known: Vec<(u32, u32, bool)>,
}

impl Filter {
    /// Events of a category, or of one stream in it.
    pub(crate) fn of(space: u32, stream: Option<StreamKey>) -> Self {
        Self { space: Some(space), stream, ..Self::default() }
    }

    /// Events of a category or of all, also those of streams that are archived.
    pub(crate) fn with_archived(space: Option<u32>) -> Self {
        Self { space, with_archived: true, ..Self::default() }
    }

    /// Wants events of types of these names only.
    pub(crate) fn set_types<T: AsRef<str>>(&mut self, names: impl IntoIterator<Item = T>) {
        self.type_names = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        // They were asked for by other names.
        self.known.clear();
    }

    /// The classes of events that may be wanted, if the index helps to find them.
    pub(crate) fn classes(&self, catalog: &Catalog) -> Option<Arc<[Class]>> {
        /// With more of them there is little to pass by.
        const CLASSES_MAX: usize = 256;
        let mut classes = Vec::new();
        match (self.space, self.type_names.is_empty()) {
            (None, true) => return None,
            (Some(space), true) => classes.push(class_of(space, None)),
            (_, false) => {
                let is_wanted = |space| self.space.is_none_or(|wanted| wanted == space);
                let listed = catalog.iter().map(|listed| &listed.keyspace);
                for category in listed.filter(|category| is_wanted(category.id)) {
                    let numbered = (0..).zip(category.types.all());
                    let named = numbered.filter(|(_, known)| self.type_names.contains(&known.name));
                    classes.extend(named.map(|(number, _)| class_of(category.id, Some(number))));
                }
            }
        }
        classes.sort_unstable();
        classes.dedup();
        (classes.len() <= CLASSES_MAX).then(|| classes.into())
    }

    /// Whether a record of this category and key may be of an event that is wanted.
    #[inline]
    pub(crate) fn may_want(&self, space: u32, key: &[u8]) -> bool {
        self.space.is_none_or(|wanted| wanted == space)
            && self.stream.as_ref().is_none_or(|stream| stream.bytes() == key)
    }

    /// Whether events of this type of the category are wanted.
    #[inline]
    pub(crate) fn wants_type(&mut self, category: &Keyspace, number: u32) -> bool {
        if self.type_names.is_empty() {
            return true;
        }
        let is_it = |known: &&(u32, u32, bool)| known.0 == category.id && known.1 == number;
        if let Some((.., wanted)) = self.known.iter().find(is_it) {
            return *wanted;
        }
        // Not noted while nobody knows it: where the type comes later, all of its events would be passed over.
        let Some(known) = category.types.get(number) else { return false };
        let wanted = self.type_names.contains(&known.name);
        self.known.push((category.id, number, wanted));
        wanted
    }
}
