//! What a filter means for one part.

use super::{
    filter::{Constant, Filter},
    select::{Node, Scratch, Selected, TextTest, both, selected},
};
use crate::{
    Mapping, PartView, Result, RowSet, Schema, ValueType,
    part::{Dictionary, FieldColumn, NumberField, existing, image},
};
use std::{ops::ControlFlow, sync::Arc};

/// What a filter means for one part.
pub(crate) struct Plan<'p> {
    view: PartView<'p>,
    mapping: Mapping,
    node: Node<'p>,
    /// Chunks from the first on and before the second have all that is selected.
    chunks: (u32, u32),
    /// A list that has all rows that are selected.
    list: Option<RowSet<'p>>,
    excluded: Option<RowSet<'p>>,
}

impl<'p> Plan<'p> {
    /// Plans a filter on events of `schema`, which reads what the part was written with.
    pub(crate) fn new(
        filter: &Filter,
        schema: &Arc<Schema>,
        view: PartView<'p>,
        excluded: Option<RowSet<'p>>,
    ) -> Result<Self> {
        let mapping = schema.mapping_from(view.schema())?;
        let node = Planner { view, mapping: &mapping }.node(filter)?;
        let (mut chunks, mut list) = ((0, view.chunks_count() as u32), None);
        let parts = if let Node::And(nodes) = &node {
            nodes.as_slice()
        } else {
            std::slice::from_ref(&node)
        };
        for node in parts {
            match node {
                Node::Rows(from, to) => {
                    chunks.0 = chunks.0.max(from / crate::CHUNK_ROWS as u32);
                    chunks.1 = chunks.1.min(to.div_ceil(crate::CHUNK_ROWS as u32));
                }
                Node::Set(set) if list.is_none_or(|list: RowSet<'_>| set.len() < list.len()) => {
                    list = Some(*set);
                }
                Node::Nothing => chunks = (0, 0),
                _ => {}
            }
        }
        Ok(Self { view, mapping, node, chunks, list, excluded })
    }

    pub(crate) fn view(&self) -> PartView<'p> {
        self.view
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Whether all rows of the part are selected.
    pub(crate) fn is_everything(&self) -> bool {
        matches!(self.node, Node::Everything) && self.excluded.is_none_or(|set| set.is_empty())
    }

    /// Which rows of a chunk are selected.
    pub(crate) fn select(&self, chunk: u32, scratch: &mut Scratch) -> Result<Selected> {
        let rows_count = self.view.rows_count();
        let found = self.node.select(chunk as usize, rows_count, scratch)?;
        let Some(excluded) = self.excluded else { return Ok(found) };
        let all = existing(rows_count, chunk as usize);
        let left = excluded.mask(chunk).map(|word| !word);
        Ok(selected(both(found.mask(all), left), all))
    }

    /// Goes through the chunks of which any row is selected.
    pub(crate) fn each_chunk(
        &self,
        mut scratch: Scratch,
        mut each: impl FnMut(u32, Selected, &mut Scratch) -> Result<()>,
    ) -> Result<()> {
        let mut visit = |chunk| match self.select(chunk, &mut scratch)? {
            Selected::Nothing => Ok(()),
            found => each(chunk, found, &mut scratch),
        };
        let (from, to) = self.chunks;
        match self.list {
            Some(list) => list.chunks(from, to).try_for_each(|(chunk, _)| visit(chunk)),
            None => (from..to).try_for_each(visit),
        }
    }

    /// Goes through the chunks before `end` of which any row is selected, the last first, until told to stop.
    pub(crate) fn each_chunk_back(
        &self,
        end: u32,
        scratch: &mut Scratch,
        mut each: impl FnMut(u32, Selected) -> ControlFlow<()>,
    ) -> Result<()> {
        for chunk in (self.chunks.0..self.chunks.1.min(end)).rev() {
            if self.list.is_some_and(|list| list.mask(chunk) == [0; 4]) {
                continue;
            }
            match self.select(chunk, scratch)? {
                Selected::Nothing => {}
                found => {
                    if each(chunk, found).is_break() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Translates filters.
struct Planner<'a, 'p> {
    view: PartView<'p>,
    mapping: &'a Mapping,
}

impl<'p> Planner<'_, 'p> {
    fn node(&self, filter: &Filter) -> Result<Node<'p>> {
        Ok(match filter {
            Filter::All => Node::Everything,
            Filter::Eq(field, constant) => self.compare(*field, Some(constant), Some(constant))?,
            Filter::AtLeast(field, constant) => self.compare(*field, Some(constant), None)?,
            Filter::AtMost(field, constant) => self.compare(*field, None, Some(constant))?,
            Filter::In(field, constants) => {
                let nodes = constants.iter().map(|one| self.compare(*field, Some(one), Some(one)));
                any(nodes.collect::<Result<_>>()?)
            }
            Filter::Prefix(field, prefix) => match self.column(*field)? {
                FieldColumn::Codes(codes, dictionary) => {
                    let (first, behind) = dictionary.find_prefix(prefix);
                    if first < behind { range(codes, first, behind - 1) } else { Node::Nothing }
                }
                FieldColumn::Texts(texts) => Node::Texts(texts, TextTest::Prefix(prefix.clone())),
                FieldColumn::Nothing | FieldColumn::Numbers(_) => Node::Nothing,
            },
            Filter::FlagsSet(field, bits) => self.bits(*field, *bits, 0)?,
            Filter::FlagsUnset(field, bits) => self.bits(*field, 0, *bits)?,
            Filter::Present(field) => {
                let present = match self.column(*field)? {
                    FieldColumn::Nothing => return Ok(Node::Nothing),
                    FieldColumn::Numbers(numbers) | FieldColumn::Codes(numbers, _) => {
                        numbers.present
                    }
                    FieldColumn::Texts(texts) => texts.present,
                };
                present.map_or(Node::Everything, Node::Set)
            }
            Filter::Not(filter) => match self.node(filter)? {
                Node::Nothing => Node::Everything,
                Node::Everything => Node::Nothing,
                node => Node::Not(Box::new(node)),
            },
            Filter::And(filters) => {
                let nodes = filters.iter().map(|filter| self.node(filter));
                all(nodes.collect::<Result<_>>()?)
            }
            Filter::Or(filters) => {
                let nodes = filters.iter().map(|filter| self.node(filter));
                any(nodes.collect::<Result<_>>()?)
            }
        })
    }

    fn column(&self, field: usize) -> Result<FieldColumn<'p>> {
        match self.mapping.older(field) {
            Some(field) => self.view.field(field),
            None => Ok(FieldColumn::Nothing),
        }
    }

    fn bits(&self, field: usize, set: u16, unset: u16) -> Result<Node<'p>> {
        Ok(match self.column(field)? {
            FieldColumn::Numbers(numbers) => Node::Bits(numbers, set.into(), unset.into()),
            _ => Node::Nothing,
        })
    }

    /// Values from `low` to `high`; both are the same value, or one of them is given.
    fn compare(
        &self,
        field: usize,
        low: Option<&Constant>,
        high: Option<&Constant>,
    ) -> Result<Node<'p>> {
        let Some(older) = self.mapping.older(field) else { return Ok(Node::Nothing) };
        let text = |constant: Option<&Constant>| match constant {
            Some(Constant::Text(text)) => Some(text.clone()),
            _ => None,
        };
        Ok(match self.view.field(older)? {
            FieldColumn::Nothing => Node::Nothing,
            FieldColumn::Codes(codes, dictionary) => match (text(low), text(high)) {
                (Some(one), Some(_)) if self.view.has_postings(older) => {
                    self.view.dimension_rows(older, &one)?.map_or(Node::Nothing, Node::Set)
                }
                (low, high) => in_dictionary(codes, dictionary, low.as_deref(), high.as_deref()),
            },
            FieldColumn::Texts(texts) => match (text(low), text(high)) {
                (Some(one), Some(_)) => Node::Texts(texts, TextTest::Eq(one)),
                (Some(low), None) => Node::Texts(texts, TextTest::AtLeast(low)),
                (None, Some(high)) => Node::Texts(texts, TextTest::AtMost(high)),
                (None, None) => Node::Nothing,
            },
            FieldColumn::Numbers(numbers) if Some(older) == self.view.schema().ts() => {
                self.times(numbers, low, high)?
            }
            FieldColumn::Numbers(numbers) => {
                let kept = |constant: Option<&Constant>| {
                    constant.map(|one| image_of(numbers.value_type, one))
                };
                match (kept(low), kept(high)) {
                    (Some(None), _) | (_, Some(None)) => Node::Nothing,
                    (low, high) => images(numbers, low.flatten(), high.flatten()),
                }
            }
        })
    }

    /// Times are sorted: those in a range are rows in a range.
    fn times(
        &self,
        times: NumberField<'p>,
        low: Option<&Constant>,
        high: Option<&Constant>,
    ) -> Result<Node<'p>> {
        let rows = self.view.rows_count() as u32;
        let ts = |constant: Option<&Constant>| match constant {
            Some(Constant::I64(ts)) => Some(*ts),
            _ => None,
        };
        let from = match ts(low) {
            Some(low) => self.view.first_since(low)?,
            None => 0,
        };
        let to = match ts(high).map(|high| high.checked_add(1)) {
            Some(Some(behind)) => self.view.first_since(behind)?,
            _ => rows,
        };
        debug_assert!(times.present.is_none(), "the time is never optional");
        Ok(match (from, to) {
            (from, to) if from >= to => Node::Nothing,
            (0, to) if to == rows => Node::Everything,
            (from, to) => Node::Rows(from, to),
        })
    }
}

/// The image of a constant; `None` if no value of the type is the same.
fn image_of(value_type: ValueType, constant: &Constant) -> Option<u64> {
    match (constant, value_type) {
        (Constant::I64(number), ValueType::I64) => Some(image::of_i64(*number)),
        (Constant::F64(number), ValueType::F64) => Some(image::of_f64(*number)),
        (Constant::U64(number), ValueType::U64 | ValueType::U32 | ValueType::U16) => Some(*number),
        _ => None,
    }
}

/// Numbers whose images are in a range.
fn images(field: NumberField<'_>, low: Option<u64>, high: Option<u64>) -> Node<'_> {
    let Some(from) = field.column.at_least(low.unwrap_or(0)) else { return Node::Nothing };
    let to = match high {
        None => field.column.meta().top,
        Some(high) => match field.column.at_most(high) {
            Some(to) => to,
            None => return Node::Nothing,
        },
    };
    if from <= to { range(field, from, to) } else { Node::Nothing }
}

fn in_dictionary<'p>(
    codes: NumberField<'p>,
    dictionary: Dictionary<'p>,
    low: Option<&str>,
    high: Option<&str>,
) -> Node<'p> {
    let (from, to) = dictionary.find_between(low, high);
    if from < to { range(codes, from, to - 1) } else { Node::Nothing }
}

fn range(field: NumberField<'_>, low: u64, high: u64) -> Node<'_> {
    if low == 0 && high >= field.column.meta().top && field.present.is_none() {
        return Node::Everything;
    }
    Node::Range(field, low, high)
}

fn all(nodes: Vec<Node<'_>>) -> Node<'_> {
    let mut kept = Vec::new();
    for node in nodes {
        match node {
            Node::Nothing => return Node::Nothing,
            Node::Everything => {}
            Node::And(nodes) => kept.extend(nodes),
            node => kept.push(node),
        }
    }
    // What needs no look at a column comes first.
    kept.sort_by_key(|node| match node {
        Node::Rows(..) => 0,
        Node::Set(_) => 1,
        Node::Range(..) => 2,
        Node::Texts(..) => 4,
        _ => 3,
    });
    match kept.len() {
        0 => Node::Everything,
        1 => kept.swap_remove(0),
        _ => Node::And(kept),
    }
}

fn any(nodes: Vec<Node<'_>>) -> Node<'_> {
    let mut kept = Vec::new();
    for node in nodes {
        match node {
            Node::Everything => return Node::Everything,
            Node::Nothing => {}
            Node::Or(nodes) => kept.extend(nodes),
            node => kept.push(node),
        }
    }
    match kept.len() {
        0 => Node::Nothing,
        1 => kept.swap_remove(0),
        _ => Node::Or(kept),
    }
}
