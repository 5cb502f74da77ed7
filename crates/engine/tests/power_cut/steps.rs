//! What the steps of a script do on a simulated machine.

use crate::{
    check,
    model::{Contents, Crash, Logged},
    script::Step,
    world::{BACKUP_DIR, DIR, Done, Stop, World},
};
use annals_disk::Disk;
use annals_engine::{ChangeKind, Error};
use std::sync::Arc;

impl World {
    pub(crate) fn back_up(&mut self) -> Done {
        self.backups.interrupted.push(Arc::clone(self.model.now()));
        self.db().backup_to(BACKUP_DIR).map_err(|error| self.stop("backup", &error))?;
        self.backups.finished = self.backups.interrupted.pop();
        self.backups.interrupted.clear();
        // The copy must be on the device, and so must be what it was copied from.
        self.model.synced();
        Ok(())
    }

    pub(crate) fn look(&mut self) -> Done {
        let db = self.db();
        let clock_ms = self.clock()?;
        let found = check::state(&db)?;
        check::same("the state", &self.model.seen(clock_ms), &found)?;
        check::gone(&db, self.model.now(), clock_ms)?;
        if self.stands_still() {
            // Nobody heard what was found: this machine's last operation was to note the time.
            return Err(Stop::Cut);
        }
        if let Some(over_ms) = self.model.latest_over(clock_ms) {
            self.model.tell(over_ms, self.setup.level);
        }
        for (snapshot, expected) in &self.snapshots {
            check::same("a snapshot", expected, &check::snapshot_state(snapshot)?)?;
        }
        self.look_at_readers()
    }

    pub(crate) fn note_recycled(&mut self) {
        self.recycled_count = self.recycled_count.max(self.db().stats().log.recycled_count);
    }

    /// Does one step that the engine may refuse: the inner result is what it said. What it
    /// refused has not happened.
    pub(crate) fn try_step(&mut self, step: &Step) -> Result<Result<(), Error>, Stop> {
        self.failure.set(None);
        match self.step(step) {
            Ok(()) => Ok(Ok(())),
            Err(stop) => match self.failure.take() {
                Some(error) => {
                    self.model.refuse();
                    Ok(Err(error))
                }
                None => Err(stop),
            },
        }
    }

    /// Does one step, while readers in other processes look between its operations.
    pub(crate) fn step(&mut self, step: &Step) -> Done {
        let before = self.start_watching();
        let done = self.do_step(step);
        self.end_watching(before)?;
        done
    }

    fn do_step(&mut self, step: &Step) -> Done {
        match step {
            Step::Put { space, key, len, ttl_ms, level } => {
                self.ensure(*space)?;
                let value = self.fresh_value(*len);
                self.put(*space, *key, &value, *ttl_ms, *level)
            }
            Step::Remove { space, key, level } => {
                if self.ensure(*space)? {
                    Ok(())
                } else {
                    self.remove(*space, *key, *level)
                }
            }
            Step::Swap { space, key, len, fitting } => {
                self.ensure(*space)?;
                self.swap(*space, *key, *len, *fitting)
            }
            Step::Update { space, key } => {
                self.ensure(*space)?;
                let bytes = Self::key(*key);
                let handle = self.handle(&self.db(), *space)?;
                let current = self.current(*space, &bytes)?;
                let (value, state, logged) = self.one_more(*space, &bytes, 20)?;
                self.commit(state, &logged, None, |_| {
                    let before = handle.fetch_update(&bytes, &value)?;
                    assert_eq!(before.as_deref(), current.as_deref());
                    Ok(None)
                })
            }
            Step::Batch { writes, wipe, appends, rows, level } => {
                for events in appends {
                    self.ensure_category(events.category)?;
                }
                for (space, ..) in writes.iter().take(2) {
                    self.ensure(*space)?;
                }
                if let Some((space, _)) = wipe {
                    self.ensure(*space)?;
                }
                if let Some(rows) = rows {
                    self.table(rows.table)?;
                }
                self.batch(writes, *wipe, appends, rows.as_ref(), *level)
            }
            Step::Rows { rows, level } => self.change_table(rows, *level),
            Step::TidyTable { table, tidying } => self.tidy_table(*table, *tidying),
            Step::DropParts { table } => self.drop_parts(*table),
            Step::DropTable { table } => self.drop_table(*table),
            Step::Append { events, level } => self.append(events, *level),
            Step::AppendInVain { events } => self.append_in_vain(events),
            Step::AppendAgain { events } => self.append_again(events),
            Step::Mark { category, stream, mark } => self.mark(*category, *stream, *mark),
            Step::DropCategory { category } => self.drop_category(*category),
            Step::RemoveRange { space, keys } => self.remove_range(*space, *keys),
            Step::PopFirst { space } => self.pop_first(*space),
            Step::CompactTree { space, keys } => self.compact_tree(*space, *keys),
            Step::Drop { space } => {
                if self.ensure(*space)? {
                    return Ok(());
                }
                let name = Self::name(*space);
                let mut state = Contents::clone(self.model.now());
                state.remove(&name);
                let logged = [Logged::change(ChangeKind::DropKeyspace)];
                self.commit(state, &logged, None, |db| db.drop_keyspace(&name).map(|()| None))
            }
            Step::Clear { space } => {
                self.ensure(*space)?;
                let handle = self.handle(&self.db(), *space)?;
                let mut state = Contents::clone(self.model.now());
                state.insert(Self::name(*space), Default::default());
                let logged = [Logged::change(ChangeKind::ClearKeyspace)];
                self.commit(state, &logged, None, |_| handle.clear().map(|()| None))
            }
            Step::Sync => {
                self.db().sync().map_err(|error| self.stop("sync", &error))?;
                self.model.synced();
                Ok(())
            }
            Step::Tick { ms } => {
                self.clock()?;
                self.sim.advance_ms(*ms);
                self.latest_ms = self.latest_ms.max(self.sim.now_ms());
                self.db().tick().map_err(|error| self.stop("tick", &error))?;
                if u128::from(*ms) > crate::model::INTERVAL.as_millis() {
                    self.model.interval_over();
                }
                Ok(())
            }
            Step::Checkpoint => {
                self.db().checkpoint().map_err(|error| self.stop("checkpoint", &error))?;
                self.model.synced();
                Ok(())
            }
            Step::Compact => {
                self.db().compact().map_err(|error| self.stop("compact", &error))?;
                self.note_recycled();
                self.look_at_readers()
            }
            Step::Backup => self.back_up(),
            Step::SetClockBack { ms } => {
                self.clock()?;
                self.sim.set_now_ms(self.sim.now_ms() - ms);
                Ok(())
            }
            Step::TakeSnapshot => {
                let clock_ms = self.clock()?;
                let snapshot = self.db().snapshot();
                let seen = check::keyspaces_of(self.model.seen(clock_ms));
                self.snapshots.push((snapshot, seen));
                Ok(())
            }
            Step::Look => self.look(),
            Step::DropSnapshot => {
                if !self.snapshots.is_empty() {
                    let at = self.writes_count as usize % self.snapshots.len();
                    drop(self.snapshots.remove(at));
                }
                Ok(())
            }
            Step::Feed => {
                let from = self.next_feed_seq;
                self.next_feed_seq = check::feed(&self.db(), &mut self.model, from)?;
                Ok(())
            }
            Step::OpenReader => self.open_reader(),
            Step::Read { which } => self.read(*which),
            Step::TakeReaderSnapshot { which } => self.take_reader_snapshot(*which),
            Step::CloseReader { which } => {
                self.close_reader(*which);
                Ok(())
            }
            Step::Reopen => {
                self.snapshots.clear();
                let db = self.db.take().expect("the database is open");
                db.close().map_err(|error| self.stop("close", &error))?;
                self.model.synced();
                let opened = self.setup.open(self.disk(), DIR);
                let db = opened.map_err(|error| self.stop("open after closing", &error))?;
                if !db.recovery().clean || db.recovery().records_count > 0 {
                    return Err(Stop::Violation("closing left something to recover".into()));
                }
                self.db = Some(db);
                self.clock().map(drop)
            }
            Step::Kill => {
                self.crash(Crash::Kill);
                self.recover(Crash::Kill)
            }
            Step::KillWriter => {
                self.kill_writer();
                self.read_all()?;
                self.recover(Crash::Kill)?;
                self.read_all()
            }
        }
    }
}
