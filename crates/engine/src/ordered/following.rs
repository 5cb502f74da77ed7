//! Trees in a read-only handle: they follow the manifest of the process that writes them, and take from
//! the log what no table has yet.
//!
//! Looking comes before the log is followed, showing after it: see [`Follower`].

use super::{TreeView, Trees, place_of};
use crate::{Error, Result, core::Core};
use annals_disk::Disk;
use annals_journal::{Journal, Root, Seq};
use annals_ordered::{Follower, ManifestPlace, Store, Tree};
use std::{path::Path, sync::Arc};

/// What a read-only handle has of the tables.
pub(crate) type Reading = (Store, Follower);

/// Opens the tables of the database in `dir` for reading, if its root names any. What they have is not
/// shown yet.
pub(crate) fn open_to_read(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    database_id: u64,
    memory_bytes: u64,
) -> Result<Option<Reading>> {
    if Root::read(&**disk, dir)?.manifest.is_none() {
        return Ok(None);
    }
    open_named(disk, dir, database_id, memory_bytes).map(Some)
}

fn open_named(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    database_id: u64,
    memory_bytes: u64,
) -> Result<Reading> {
    let (config, place) = (Trees::config(memory_bytes), || place(&**disk, dir));
    Store::open_read_only(Arc::clone(disk), dir, database_id, config, place)
}

/// The manifest that the root names now.
fn place(disk: &dyn Disk, dir: &Path) -> Result<ManifestPlace> {
    let named = Root::read(disk, dir)?.manifest;
    named.map(place_of).ok_or_else(|| {
        let what = "it names no manifest, and the log has ordered keyspaces".to_owned();
        annals_ordered::Error::Missing { path: dir.join(annals_journal::ROOT_NAME), what }.into()
    })
}

fn place_in(journal: &Journal) -> impl Fn() -> Result<ManifestPlace> {
    || place(&**journal.disk(), journal.dir())
}

impl Trees {
    /// Begins with what was opened. The tables are shown at once: nobody reads before the log was followed
    /// to what they have.
    /// `lost` says why there is nothing, if the manifest cannot be read.
    pub(crate) fn read(&self, reading: Option<Reading>, lost: Option<Error>) {
        if let Some(why) = lost {
            drop(self.no_manifest.set(why));
        }
        if let Some((store, mut follower)) = reading {
            follower.show(u64::MAX);
            drop(self.store.set(store));
            *self.follower.lock() = Some(follower);
        }
    }

    /// Whether the manifest cannot be read, and with it no tree.
    pub(crate) fn is_lost(&self) -> bool {
        self.no_manifest.get().is_some()
    }

    /// Why the manifest cannot be read.
    pub(crate) fn why_lost(&self) -> Option<&Error> {
        self.no_manifest.get()
    }

    /// The tree `id` as the view of a keyspace.
    pub(crate) fn tree_view(&self, id: u32, tree: Option<Tree>) -> TreeView {
        TreeView { id, tree, lost: self.no_manifest.get().cloned() }
    }

    /// Whether the manifest seems to say more than is known of it.
    #[inline]
    pub(crate) fn may_have_more(&self) -> bool {
        self.store().is_some_and(Store::may_have_more)
    }

    /// Looks what the manifest says now.
    pub(crate) fn look(&self, journal: &Journal) -> Result<()> {
        match &mut *self.follower.lock() {
            Some(follower) => follower.look(place_in(journal)),
            None => Ok(()),
        }
    }

    /// The tree `id`, of which the log says just now that a keyspace has it. The manifest has named it since
    /// before the log did; if it does so no more, the log will come to why.
    pub(crate) fn begun_tree(&self, core: &Core, id: u32) -> Option<Tree> {
        let found = self.find_begun_tree(&core.journal, id);
        found.map_err(|error| self.lose(error)).ok()
    }

    /// Shows what the tree `id` was loaded with, which the log says just now that a keyspace has. Whether that
    /// can be shown now: if not, a state that is loaded anew begins with what the tree has by then.
    pub(crate) fn show_replaced(&self, journal: &Journal, id: u32) -> bool {
        if self.is_lost() {
            return true;
        }
        let shown = self.find_begun_tree(journal, id).map(|_| {
            self.follower.lock().as_mut().is_some_and(|follower| follower.show_loaded(id))
        });
        shown.unwrap_or_else(|error| {
            self.lose(error);
            false
        })
    }

    fn find_begun_tree(&self, journal: &Journal, id: u32) -> Result<Tree> {
        let mut follower = self.follower.lock();
        let follower = match &mut *follower {
            Some(follower) => {
                follower.look_for(id, place_in(journal))?;
                follower
            }
            none => {
                let (disk, dir) = (journal.disk(), journal.dir());
                let memory_bytes = self.memory_bytes;
                let (store, follower) = open_named(disk, dir, journal.database_id(), memory_bytes)?;
                drop(self.store.set(store));
                none.insert(follower)
            }
        };
        Ok(self.tree(id).unwrap_or_else(|| follower.passing_tree(id)))
    }

    /// Notes that the trees could not take what the log has: this state cannot be followed any more.
    pub(crate) fn lose(&self, error: Error) {
        self.lost.lock().get_or_insert(error);
    }

    /// Whether the trees lack something that the log has.
    pub(crate) fn check_whole(&self) -> Result<()> {
        self.lost.lock().clone().map_or(Ok(()), Err)
    }

    /// How much of the log is followed between two looks at the memory, in bytes.
    pub(crate) fn follow_step_bytes(&self) -> u64 {
        (self.config.memtable_bytes / 4).max(64 << 10)
    }

    /// Whether memory has run short on the way through the log, and the tables have by now what takes it.
    /// They cannot be shown before the end of the log; a state that is loaded anew begins with them. As long
    /// as there is a feed this state is not left for that: a newer one may have less of the log.
    pub(crate) fn should_load_anew(&self, journal: &Journal) -> bool {
        if journal.oldest_hold().is_some() {
            return false;
        }
        match &mut *self.follower.lock() {
            Some(follower) if follower.is_short() => {
                // What is wrong is told where the log ends.
                follower.look(place_in(journal)).is_ok() && follower.would_let_go()
            }
            _ => false,
        }
    }

    /// Shows what was seen when this state looked last. The log was followed to its end since, and shown
    /// up to `visible`.
    pub(crate) fn show(&self, visible: Seq) {
        if let Some(follower) = &mut *self.follower.lock() {
            follower.show(visible.0);
        }
    }

    /// Whether the log was followed to what the tables have.
    pub(crate) fn are_covered(&self, visible: Seq) -> bool {
        self.follower.lock().as_ref().is_none_or(|follower| follower.newest_seq() <= visible.0)
    }

    /// Reads the manifest that the root names now.
    pub(crate) fn verify_manifest(&self, journal: &Journal) -> Result<()> {
        match &*self.follower.lock() {
            Some(follower) => follower.verify_manifest(place_in(journal)),
            None => Ok(()),
        }
    }

    /// Lets go of all trees, for a state that was left.
    pub(crate) fn let_go(&self) {
        *self.follower.lock() = None;
        if let Some(store) = self.store() {
            store.let_go();
        }
    }
}
