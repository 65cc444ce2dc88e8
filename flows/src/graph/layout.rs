//! Where boxes stand: one column for each layer, few crossings.

use super::Graph;

/// Width of a box.
pub(super) const WIDTH: f64 = 168.0;
/// Height of a box.
pub(super) const HEIGHT: f64 = 62.0;
const BETWEEN_COLUMNS: f64 = 40.0;
const BETWEEN_ROWS: f64 = 14.0;
const MARGIN: f64 = 8.0;
/// Height of the lane of an edge that passes a column.
const LANE: f64 = 6.0;
/// How often the columns are put in order, forth and back.
const SWEEPS: usize = 8;

/// A drawing with its size.
pub(super) struct Layout {
    pub width: f64,
    pub height: f64,
    /// Upper left corner of each node's box.
    pub boxes: Vec<(f64, f64)>,
    /// The points that each edge passes; pairs of them stand at the left and right of a column.
    pub lines: Vec<Vec<(f64, f64)>>,
}

/// Something in a column: a box, or the lane of an edge that passes by.
struct Item {
    height: f64,
    before: Vec<usize>,
    after: Vec<usize>,
    /// Place in its column.
    rank: usize,
    y: f64,
}

/// Places every node and edge of a graph.
pub(super) fn layout(graph: &Graph) -> Layout {
    let depth = graph.layers.iter().max().map_or(0, |last| last + 1);
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); depth];
    let mut items: Vec<Item> = Vec::new();
    for layer in &graph.layers {
        columns[*layer].push(items.len());
        items.push(item(HEIGHT));
    }
    // The items that each edge passes, its ends included.
    let mut ways: Vec<Vec<usize>> = Vec::with_capacity(graph.edges.len());
    for (from, to) in &graph.edges {
        let mut way = vec![*from];
        for column in &mut columns[graph.layers[*from] + 1..graph.layers[*to]] {
            way.push(items.len());
            column.push(items.len());
            items.push(item(LANE));
        }
        way.push(*to);
        for pair in way.windows(2) {
            items[pair[0]].after.push(pair[1]);
            items[pair[1]].before.push(pair[0]);
        }
        ways.push(way);
    }
    rank(&columns, &mut items);
    for sweep in 0..SWEEPS {
        let forth = sweep % 2 == 0;
        for at in 0..depth {
            let column = if forth { at } else { depth - 1 - at };
            reorder(&mut columns[column], &items, forth);
            for (rank, id) in columns[column].iter().enumerate() {
                items[*id].rank = rank;
            }
        }
    }
    let height = stack(&columns, &mut items);
    let x = |layer: usize| MARGIN + layer as f64 * (WIDTH + BETWEEN_COLUMNS);
    let boxes = graph
        .layers
        .iter()
        .enumerate()
        .map(|(node, layer)| (x(*layer), items[node].y))
        .collect();
    let lines = ways
        .iter()
        .zip(&graph.edges)
        .map(|(way, (from, _))| {
            let mut points = Vec::with_capacity(way.len() * 2);
            for (step, id) in way.iter().enumerate() {
                let left = x(graph.layers[*from] + step);
                let y = items[*id].y + items[*id].height / 2.0;
                if step > 0 {
                    points.push((left, y));
                }
                if step + 1 < way.len() {
                    points.push((left + WIDTH, y));
                }
            }
            points
        })
        .collect();
    Layout {
        width: x(depth.max(1)) - BETWEEN_COLUMNS + MARGIN,
        height,
        boxes,
        lines,
    }
}

fn item(height: f64) -> Item {
    Item {
        height,
        before: Vec::new(),
        after: Vec::new(),
        rank: 0,
        y: 0.0,
    }
}

fn rank(columns: &[Vec<usize>], items: &mut [Item]) {
    for column in columns {
        for (rank, id) in column.iter().enumerate() {
            items[*id].rank = rank;
        }
    }
}

/// Sorts a column by the mean place of its neighbours; what has none keeps its own.
fn reorder(column: &mut [usize], items: &[Item], forth: bool) {
    let mean = |id: usize| {
        let item = &items[id];
        let near = if forth { &item.before } else { &item.after };
        if near.is_empty() {
            return item.rank as f64;
        }
        near.iter().map(|id| items[*id].rank as f64).sum::<f64>() / near.len() as f64
    };
    column.sort_by_cached_key(|id| ((mean(*id) * 1024.0) as i64, items[*id].rank));
}

/// Stacks every column around the middle of the highest one; returns the drawing's height.
fn stack(columns: &[Vec<usize>], items: &mut [Item]) -> f64 {
    let height_of = |column: &[usize], items: &[Item]| {
        let boxes: f64 = column.iter().map(|id| items[*id].height).sum();
        boxes + BETWEEN_ROWS * column.len().saturating_sub(1) as f64
    };
    let highest = columns
        .iter()
        .map(|column| height_of(column, items))
        .fold(0.0, f64::max);
    for column in columns {
        let mut y = MARGIN + (highest - height_of(column, items)) / 2.0;
        for id in column {
            items[*id].y = y;
            y += items[*id].height + BETWEEN_ROWS;
        }
    }
    highest + 2.0 * MARGIN
}
