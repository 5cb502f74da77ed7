//! Which values of segments that are given up tables refer to.

use crate::{
    catalog::Catalog,
    core::Core,
    ordered::{Moved, stays_in_log},
};
use annals_journal::Address;
use annals_ordered::{Former, Reference, Referring, Tree};
use std::sync::Arc;

/// The trees whose tables may refer to values in what is given up, as they were when it was begun. A record
/// that tables have has no other version of itself to come, so what these do not refer to nothing ever will.
pub(super) struct VictimTrees {
    /// Taken before the trees: one that is in neither is read by nobody who came later.
    catalog: Arc<Catalog>,
    referring: Referring,
    /// Trees that no keyspace has any more, or not yet.
    unlisted: Vec<u32>,
    /// Where moved values are.
    moved: Arc<Moved>,
    /// The slots of segments that the root does not name any more, though they may still be read.
    leaving: Vec<u32>,
}

impl VictimTrees {
    pub(super) fn of(core: &Core) -> Option<Self> {
        let catalog = core.catalog.load_full();
        let referring = core.trees.store()?.referring();
        let is_listed = |id: &u32| catalog.iter().any(|listed| listed.tree.id == *id);
        let unlisted = referring.trees().filter(|id| !is_listed(id)).collect();
        let (moved, leaving) = (core.trees.moved.load_full(), core.maintenance.leaving());
        Some(Self { catalog, referring, unlisted, moved, leaving })
    }

    /// The reference that a table makes to a record; `None` if none does.
    pub(super) fn reference(
        &self,
        record: &annals_journal::Record<'_>,
    ) -> annals_ordered::Result<Option<Reference>> {
        let listed = self.catalog.by_id(record.space).and_then(|listed| listed.tree.tree.as_ref());
        let listed = listed.filter(|tree| stays_in_log(tree, record.kind, record.value));
        for tree in listed.map(Tree::id).into_iter().chain(self.unlisted.iter().copied()) {
            let found = self.referring.reference(tree, record.key, record.seq.0)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Where the value is that a reference stands for, as the next root has it.
    pub(super) fn place(&self, core: &Core, reference: &Reference) -> Option<Address> {
        let written = Address::from_u64(reference.place);
        let guard = core.journal.guard(written.slot);
        let is_there = guard.is_some_and(|guard| guard.generation() == reference.segment);
        if is_there && !self.leaving.contains(&written.slot) {
            return Some(written);
        }
        self.moved.find(reference.seq)
    }

    /// Who may read tables that came before these.
    pub(super) fn into_former(self) -> Former {
        self.referring.into_former()
    }
}
