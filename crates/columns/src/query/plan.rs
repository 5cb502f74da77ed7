//! What a filter means for one part.

use super::{
    explain::Source,
    filter::{Constant, Filter},
    select::{Node, Scratch, Selected, TextTest, both, rows_between, selected},
};
use crate::{
    CHUNK_ROWS, Mapping, Mask, PartView, Result, RowSet, Schema, ValueType,
    part::{Dictionary, FieldColumn, NumberField, existing, image},
};
use std::{ops::Range, sync::Arc};

/// What a filter means for one part.
pub(crate) struct Plan<'p> {
    view: PartView<'p>,
    mapping: Mapping,
    node: Node<'p>,
    /// Rows from the first on and before the second have all that is selected.
    rows: (u32, u32),
    /// A list that has all rows that are selected.
    list: Option<RowSet<'p>>,
    /// What is asked of rows beside those two; `None`: nothing.
    rest: Option<Node<'p>>,
    excluded: Option<RowSet<'p>>,
}

/// Who is shown the rows that are selected.
pub(crate) trait Visit {
    /// All rows of the chunks from the first on and before the second.
    fn stretch(&mut self, from: u32, to: u32, scratch: &mut Scratch) -> Result<()>;
    /// Rows of a chunk.
    fn chunk(&mut self, chunk: u32, found: Selected, scratch: &mut Scratch) -> Result<()>;
    /// Some rows, which rise.
    fn rows(&mut self, rows: &[u32]) -> Result<()>;
}

/// Lists with fewer rows than one in so many are gone through row by row.
const LISTED_SHARE: usize = 12;

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
        let (mut rows, mut list, mut listed) = ((0, view.rows_count() as u32), None, usize::MAX);
        let parts = if let Node::And(nodes) = &node {
            nodes.as_slice()
        } else {
            std::slice::from_ref(&node)
        };
        for (at, node) in parts.iter().enumerate() {
            match node {
                Node::Rows(from, to) => rows = (rows.0.max(*from), rows.1.min(*to)),
                Node::Set(set) if list.is_none_or(|list: RowSet<'_>| set.len() < list.len()) => {
                    (list, listed) = (Some(*set), at);
                }
                Node::Nothing => rows = (0, 0),
                _ => {}
            }
        }
        let is_rest = |(at, node): &(usize, &Node<'p>)| {
            *at != listed && !matches!(node, Node::Rows(..) | Node::Nothing | Node::Everything)
        };
        let mut rest: Vec<_> =
            parts.iter().enumerate().filter(is_rest).map(|(_, node)| node.clone()).collect();
        let rest = if rest.len() > 1 { Some(Node::And(rest)) } else { rest.pop() };
        let excluded = excluded.filter(|set| !set.is_empty());
        Ok(Self { view, mapping, node, rows, list, rest, excluded })
    }

    pub(crate) fn view(&self) -> PartView<'p> {
        self.view
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The same of the rows from the first on and before the second only.
    pub(crate) fn within(mut self, rows: &Range<u32>) -> Self {
        self.rows = (self.rows.0.max(rows.start), self.rows.1.min(rows.end));
        self
    }

    /// Whether all rows of the part are selected.
    pub(crate) fn is_everything(&self) -> bool {
        let is_whole = self.rows == (0, self.view.rows_count() as u32);
        matches!(self.node, Node::Everything) && self.excluded.is_none() && is_whole
    }

    /// No more rows than that are selected.
    pub(crate) fn rows_limit(&self) -> u64 {
        let rows = self.rows.1.saturating_sub(self.rows.0).into();
        self.list.map_or(rows, |list| rows.min(list.len() as u64))
    }

    /// What is used to find the rows.
    pub(crate) fn sources(&self) -> Vec<Source> {
        let mut all = Vec::new();
        sources_of(&self.node, &mut all);
        if self.excluded.is_some() {
            all.push(Source::Deleted);
        }
        all.sort_unstable();
        all.dedup();
        all
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

    /// The chunks that have all that is selected.
    pub(crate) fn chunks(&self) -> (u32, u32) {
        let (from, to) = self.rows;
        if from >= to {
            return (0, 0);
        }
        (from / CHUNK_ROWS as u32, to.div_ceil(CHUNK_ROWS as u32))
    }

    /// Shows all rows that are selected, in their order.
    pub(crate) fn visit(&self, visit: &mut impl Visit) -> Result<()> {
        let (from, to) = self.rows;
        if from >= to {
            return Ok(());
        }
        if let Some(list) = self.short_list()
            && self.rest.is_none()
            && self.excluded.is_none()
        {
            return visit.rows(&self.listed(list, from, to));
        }
        let mut scratch = Scratch::new();
        match (self.list, &self.rest) {
            (Some(list), _) if is_short(list, self.view) => {
                visit.rows(&self.listed_between(list, from, to, &mut scratch)?)
            }
            (None, None) => self.visit_range(visit, &mut scratch),
            _ => {
                let (first, behind) = self.chunks();
                let mut excluded = self.excluded.map(|set| set.chunks(first, behind).peekable());
                for chunk in first..behind {
                    let mut found =
                        self.node.select(chunk as usize, self.view.rows_count(), &mut scratch)?;
                    if let Some(excluded) = &mut excluded
                        && let Some((_, gone)) = excluded.next_if(|(at, _)| *at == chunk)
                    {
                        let all = existing(self.view.rows_count(), chunk as usize);
                        found = selected(both(found.mask(all), gone.map(|word| !word)), all);
                    }
                    // What is asked of other rows may not say itself where those begin and end.
                    found = in_rows(found, chunk as usize, (from, to), self.view.rows_count());
                    if found != Selected::Nothing {
                        visit.chunk(chunk, found, &mut scratch)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// The list to go through row by row, if there is one that is short for the part.
    pub(crate) fn short_list(&self) -> Option<RowSet<'p>> {
        self.list.filter(|list| is_short(*list, self.view))
    }

    /// The rows of the list, from the first on and before the second, that are selected.
    pub(crate) fn listed_between(
        &self,
        list: RowSet<'p>,
        from: u32,
        to: u32,
        scratch: &mut Scratch,
    ) -> Result<Vec<u32>> {
        let rows = self.listed(list, from, to);
        if self.rest.is_none() && self.excluded.is_none() {
            return Ok(rows);
        }
        self.filtered(&rows, scratch)
    }

    /// The rows of the list, from the first on and before the second, whatever else is asked of them.
    fn listed(&self, list: RowSet<'p>, from: u32, to: u32) -> Vec<u32> {
        let mut rows = Vec::with_capacity(list.len().min((to - from) as usize));
        list.rows_between(from.max(self.rows.0), to.min(self.rows.1), &mut rows);
        rows
    }

    /// Of rows of a list those that are selected.
    fn filtered(&self, rows: &[u32], scratch: &mut Scratch) -> Result<Vec<u32>> {
        let mut left = Vec::new();
        let rows_count = self.view.rows_count();
        for rows in rows.chunk_by(|one, other| chunk_of(*one) == chunk_of(*other)) {
            let chunk = rows.first().map_or(0, |row| chunk_of(*row));
            let mut mask = existing(rows_count, chunk as usize);
            if let Some(rest) = &self.rest {
                mask = rest.select(chunk as usize, rows_count, scratch)?.mask(mask);
            }
            if let Some(excluded) = self.excluded {
                mask = both(mask, excluded.mask(chunk).map(|word| !word));
            }
            let is_left = |row: &&u32| {
                let place = **row as usize % CHUNK_ROWS;
                mask[place / 64] >> (place % 64) & 1 == 1
            };
            left.extend(rows.iter().filter(is_left));
        }
        Ok(left)
    }

    /// Shows all rows in the range that are not excluded.
    fn visit_range(&self, visit: &mut impl Visit, scratch: &mut Scratch) -> Result<()> {
        let (mut from, to) = self.rows;
        if let Some(excluded) = self.excluded {
            let (first, behind) = self.chunks();
            for (chunk, gone) in excluded.chunks(first, behind) {
                let start = chunk * CHUNK_ROWS as u32;
                self.visit_rows(from, start.min(to), visit, scratch)?;
                let all = existing(self.view.rows_count(), chunk as usize);
                let mask = rows_between(chunk as usize, from, to, all).mask(all);
                let found = selected(both(mask, gone.map(|word| !word)), all);
                if found != Selected::Nothing {
                    visit.chunk(chunk, found, scratch)?;
                }
                from = from.max(start.saturating_add(CHUNK_ROWS as u32));
            }
        }
        self.visit_rows(from, to, visit, scratch)
    }

    /// Shows rows that are all selected.
    fn visit_rows(
        &self,
        from: u32,
        to: u32,
        visit: &mut impl Visit,
        scratch: &mut Scratch,
    ) -> Result<()> {
        if from >= to {
            return Ok(());
        }
        let rows = CHUNK_ROWS as u32;
        let first = from.div_ceil(rows);
        // The last chunk of a part may be short, and is there as a whole nevertheless.
        let is_end = to as usize == self.view.rows_count();
        let behind = if is_end { to.div_ceil(rows) } else { to / rows };
        let mut edge = |chunk: u32, visit: &mut _| {
            let all = existing(self.view.rows_count(), chunk as usize);
            let found = rows_between(chunk as usize, from, to, all);
            Visit::chunk(visit, chunk, found, scratch)
        };
        if first > behind {
            return edge(from / rows, visit);
        }
        if !from.is_multiple_of(rows) {
            edge(from / rows, visit)?;
        }
        if first < behind {
            visit.stretch(first, behind, scratch)?;
        }
        if !is_end && !to.is_multiple_of(rows) {
            let all = existing(self.view.rows_count(), behind as usize);
            let found = rows_between(behind as usize, from, to, all);
            visit.chunk(behind, found, scratch)?;
        }
        Ok(())
    }

    /// Whether any row of a chunk can be selected, as far as lists say.
    pub(crate) fn may_have(&self, chunk: u32) -> bool {
        self.list.is_none_or(|list| list.mask(chunk) != [0; 4])
    }
}

fn is_short(list: RowSet<'_>, view: PartView<'_>) -> bool {
    list.len() <= view.rows_count() / LISTED_SHARE
}

/// Of what is selected of a chunk the rows from the first on and before the second.
fn in_rows(found: Selected, chunk: usize, (from, to): (u32, u32), rows_count: usize) -> Selected {
    let start = chunk * CHUNK_ROWS;
    if from as usize <= start && start + CHUNK_ROWS <= to as usize {
        return found;
    }
    let all = existing(rows_count, chunk);
    selected(both(found.mask(all), rows_between(chunk, from, to, all).mask(all)), all)
}

fn sources_of(node: &Node<'_>, all: &mut Vec<Source>) {
    match node {
        Node::Nothing | Node::Everything => {}
        Node::Rows(..) => all.push(Source::Times),
        Node::Set(_) => all.push(Source::Lists),
        Node::Masks(_) => all.push(Source::Bitmaps),
        Node::Range(..) => all.push(Source::Zones),
        Node::Bits(..) | Node::Texts(..) => all.push(Source::Columns),
        Node::Not(node) => sources_of(node, all),
        Node::And(nodes) | Node::Or(nodes) => {
            nodes.iter().for_each(|node| sources_of(node, all));
        }
    }
}

fn chunk_of(row: u32) -> u32 {
    row / CHUNK_ROWS as u32
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
                any(nodes.collect::<Result<_>>()?, self.view)
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
                any(nodes.collect::<Result<_>>()?, self.view)
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
            FieldColumn::Numbers(_) if Some(older) == self.view.schema().status() => {
                let status = |constant: Option<&Constant>| match constant {
                    Some(Constant::U64(status)) => Some(*status),
                    _ => None,
                };
                let (low, high) = (status(low).unwrap_or(0), status(high).unwrap_or(u64::MAX));
                any(
                    self.view.status_sets(low, high)?.into_iter().map(Node::Set).collect(),
                    self.view,
                )
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
        (Constant::F64(number), ValueType::F64) => Some(image::of_f64(image::canonical(*number))),
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
        Node::Set(_) | Node::Masks(_) => 1,
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

fn any<'p>(nodes: Vec<Node<'p>>, view: PartView<'_>) -> Node<'p> {
    let mut kept = Vec::new();
    let mut sets: Vec<RowSet<'p>> = Vec::new();
    for node in nodes {
        match node {
            Node::Everything => return Node::Everything,
            Node::Nothing => {}
            Node::Or(nodes) => kept.extend(nodes),
            Node::Set(set) if set.len() == view.rows_count() => return Node::Everything,
            Node::Set(set) => sets.push(set),
            node => kept.push(node),
        }
    }
    // Several lists become one thing to look at.
    if sets.len() > 1 {
        let mut masks = vec![Mask::default(); view.chunks_count()];
        sets.iter().for_each(|set| set.mark(&mut masks));
        kept.push(Node::Masks(masks));
    } else {
        kept.extend(sets.pop().map(Node::Set));
    }
    match kept.len() {
        0 => Node::Nothing,
        1 => kept.swap_remove(0),
        _ => Node::Or(kept),
    }
}
