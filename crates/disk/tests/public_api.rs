//! Every public path, and what may cross threads: a change here is a change for users.

#![allow(unused_imports, reason = "that the paths exist is the test")]

use annals_disk::{
    Access, Backing, Disk, DiskError, Entry, Fault, File, Holder, Kept, Lock, LockMode, MemoryDisk,
    Operation, RealDisk, Region, Result, SimDisk, SimOptions, Via, WriteMode,
};

#[test]
fn what_is_shared_between_threads_may_be() {
    fn shared<T: Send + Sync + ?Sized + 'static>() {}
    fn sent<T: Send + ?Sized + 'static>() {}
    shared::<dyn Disk>();
    shared::<dyn Lock>();
    shared::<dyn Backing>();
    shared::<Region>();
    shared::<Kept<Region>>();
    shared::<DiskError>();
    shared::<RealDisk>();
    shared::<MemoryDisk>();
    shared::<SimDisk>();
    sent::<dyn File>();
}
