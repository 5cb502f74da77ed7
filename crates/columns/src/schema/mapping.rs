//! Reading events that an older schema wrote.
//!
//! Fields may be added, not taken away. A newer schema reads what an older one wrote if it has the same id,
//! and the older one's fields with the same roles in the same order; what it has besides is optional, and
//! absent in the older events. A field may become optional, and flags may be added behind those there are.
//! What is done beside keeping a dimension (a filter, sums by day) may change.

use super::{Field, Role, Schema};
use crate::{Error, Result};
use std::sync::Arc;

/// Where each field of a newer schema is in an older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// How many fields the newer one has.
    count: usize,
    /// Where they are; `None` if at the same places.
    fields: Option<Vec<Option<usize>>>,
}

impl Mapping {
    /// The index in the older schema; `None` if that does not have the field.
    #[inline]
    #[must_use]
    pub fn older(&self, newer: usize) -> Option<usize> {
        match &self.fields {
            Some(fields) => fields.get(newer).copied().flatten(),
            None => (newer < self.count).then_some(newer),
        }
    }

    /// The index in the newer schema, which has all fields of the older one.
    pub(crate) fn newer(&self, older: usize) -> Option<usize> {
        match &self.fields {
            Some(fields) => fields.iter().position(|found| *found == Some(older)),
            None => (older < self.count).then_some(older),
        }
    }

    /// Whether both have the same fields at the same places.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.fields.is_none()
    }
}

impl Schema {
    /// How this schema reads events that `older` wrote.
    ///
    /// # Errors
    /// [`Error::SchemaMismatch`], which prints both, if it cannot.
    ///
    /// ```
    /// use annals_columns::{Role, Schema};
    /// use std::sync::Arc;
    /// let older = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
    /// let newer = Schema::builder(1).with("at", Role::Ts).with_optional("note", Role::Label);
    /// let newer = Arc::new(newer.build()?);
    /// assert_eq!(newer.mapping_from(&older)?.older(1), None);
    /// assert!(older.mapping_from(&newer).is_err(), "fields are not taken away");
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    pub fn mapping_from(self: &Arc<Self>, older: &Arc<Self>) -> Result<Mapping> {
        let count = self.fields().len();
        if Arc::ptr_eq(self, older) {
            return Ok(Mapping { count, fields: None });
        }
        let mismatch = |field: Option<&Field>, what| Error::SchemaMismatch {
            field: field.map(|field| field.name().to_owned()),
            what,
            found: Arc::clone(older),
            expected: Arc::clone(self),
        };
        if self.id() != older.id() {
            return Err(mismatch(None, "its id is another one"));
        }
        let mut fields = Vec::with_capacity(count);
        let mut theirs = older.fields().iter().enumerate().peekable();
        for ours in self.fields() {
            let Some((at, _)) = theirs.next_if(|(_, field)| field.name() == ours.name()) else {
                if !ours.is_optional() {
                    return Err(mismatch(Some(ours), "they lack a field that is not optional"));
                }
                fields.push(None);
                continue;
            };
            let field = &older.fields()[at];
            if !reads(ours.role(), field.role()) {
                return Err(mismatch(Some(ours), "the field has another role in them"));
            }
            if field.is_optional() && !ours.is_optional() {
                return Err(mismatch(Some(ours), "the field is optional in them"));
            }
            fields.push(Some(at));
        }
        if let Some((_, field)) = theirs.next() {
            return Err(mismatch(
                Some(field),
                "they have a field that is not there, or at another place",
            ));
        }
        // All of the older one's were met: as many are the same ones.
        Ok(Mapping { count, fields: (count > older.fields().len()).then_some(fields) })
    }
}

/// Whether a field of the role `ours` reads what one of the role `theirs` wrote.
fn reads(ours: &Role, theirs: &Role) -> bool {
    match (ours, theirs) {
        (Role::Dimension(_), Role::Dimension(_)) => true,
        (Role::Flags(ours), Role::Flags(theirs)) => ours.starts_with(theirs),
        (ours, theirs) => ours == theirs,
    }
}
