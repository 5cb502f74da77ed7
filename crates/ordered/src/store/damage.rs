//! What is damaged: found by reading everything, or known since opening.

use super::Store;
use crate::{Damage, Error, Result, version::Version};
use std::sync::Arc;

impl Store {
    /// Reads every byte of all tables and of the manifest, and reports each place that is damaged
    /// with the keys concerned, as far as that is known. Where another process writes it, the manifest is
    /// left to [`Follower::verify_manifest`](crate::Follower::verify_manifest).
    ///
    /// # Errors
    /// What is wrong with the manifest, after all tables were read.
    pub fn verify(&self, report: &mut dyn FnMut(u32, Damage)) -> Result<()> {
        for tree in self.core.all_trees() {
            let version = Arc::clone(&tree.view.load().version);
            for file in version.files() {
                let mut report = |mut damage: Damage| {
                    damage.from.get_or_insert_with(|| file.info.range.first.to_vec());
                    if damage.to.is_none() {
                        damage.to = Some(file.info.range.last.to_vec());
                        damage.to_included = file.info.range.last_included;
                    }
                    report(tree.id, damage);
                };
                match file.table() {
                    Ok(table) => _ = table.verify(&mut report),
                    Err(error) => report(Damage::of_lost(&error)),
                }
            }
        }
        if self.core.is_read_only {
            return Ok(());
        }
        let site = &self.core.site;
        // No edit is written meanwhile, or it would be taken for a torn one.
        let log = self.core.log.lock();
        let place = log.place();
        crate::read_manifest(&*site.disk, &site.dir, site.database_id, place).map(drop)
    }

    /// Why tables are lost, each with its file and the keys concerned: their files are missing, or could
    /// not be opened.
    #[must_use]
    pub fn lost_tables(&self) -> Vec<Error> {
        let trees = self.core.all_trees();
        let versions = trees.iter().map(|tree| Arc::clone(&tree.view.load().version));
        let lost = |version: Arc<Version>| -> Vec<Error> {
            version.files().filter_map(|file| file.lost().cloned()).collect()
        };
        versions.flat_map(lost).collect()
    }
}
