//! Earlier versions, for snapshots of read-only handles.
//!
//! A writer leaves the address of the version before in a record as long as one of *its* snapshots
//! needs it; it knows nothing of snapshots in other processes. Those note it for themselves, here,
//! while they have any.

use annals_journal::Address;
use parking_lot::RwLock;
use std::collections::HashMap;

/// Addresses of earlier versions by the address of the later one.
#[derive(Debug, Default)]
pub(crate) struct History {
    before: RwLock<HashMap<u64, u64>>,
}

impl History {
    pub(crate) fn note(&self, address: Address, before: Address) {
        self.before.write().insert(address.pack(), before.pack());
    }

    pub(crate) fn before(&self, address: Address) -> Option<Address> {
        self.before.read().get(&address.pack()).copied().map(Address::unpack)
    }

    pub(crate) fn forget(&self) {
        *self.before.write() = HashMap::new();
    }
}
