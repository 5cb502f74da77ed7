//! What the check of an archive remembers of shared pointers.

use rkyv::{
    erased::{ErasedPtr, Metadata},
    rancor::Source,
    validation::{
        SharedContext,
        shared::{SharedValidator, ValidationState},
    },
};
use std::any::TypeId;

/// The part of a check that knows which shared pointers (`Rc`, `Arc`) were met. Few events have any, and
/// the table for them is made only then: making and dropping it for each event would cost as much as the
/// rest of the check of a small one.
#[derive(Debug, Default)]
pub struct Shared(Option<Box<SharedValidator>>);

impl Shared {
    #[cold]
    fn table(&mut self) -> &mut SharedValidator {
        self.0.get_or_insert_default()
    }
}

impl<E: Source> SharedContext<E> for Shared {
    fn start_shared(
        &mut self,
        shared_type_id: TypeId,
        ptr: ErasedPtr,
        metadata_is_eq: unsafe fn(Metadata, Metadata) -> bool,
    ) -> Result<ValidationState, E> {
        self.table().start_shared(shared_type_id, ptr, metadata_is_eq)
    }

    fn finish_shared(&mut self, shared_type_id: TypeId, ptr: ErasedPtr) -> Result<(), E> {
        self.table().finish_shared(shared_type_id, ptr)
    }
}
