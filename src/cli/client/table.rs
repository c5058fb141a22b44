//! Aligned columns, without a colour or a frame, so that they are the same in a terminal and in a pipe.

use super::words::cut;

/// The space between two columns.
const GAP: &str = "  ";
/// How narrow a column may become.
const NARROWEST: usize = 8;

/// On which side of its column a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A column: its title, its side, and whether its texts may be cut, or all of it may go, where room is
/// scarce.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) side: Side,
    pub(super) may_be_cut: bool,
    pub(super) may_go: bool,
}

impl Column {
    pub(super) const fn left(title: &'static str) -> Self {
        Self { title, side: Side::Left, may_be_cut: false, may_go: false }
    }

    pub(super) const fn right(title: &'static str) -> Self {
        Self { title, side: Side::Right, may_be_cut: false, may_go: false }
    }

    pub(super) const fn optional(self) -> Self {
        Self { may_go: true, ..self }
    }

    pub(super) const fn cut(self) -> Self {
        Self { may_be_cut: true, ..self }
    }
}

/// The lines of a table under their titles. With a width, columns that may be cut give way until it
/// fits, and where that is not enough, columns that may go, the last one first.
pub(super) fn table(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> String {
    let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
    let lines = || std::iter::once(&titles).chain(rows);
    let mut shown: Vec<Shown> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = lines().filter_map(|line| line.get(index));
            let width = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            Shown { column: *column, index, width }
        })
        .collect();
    if let Some(width) = width {
        narrow(&mut shown, width);
    }
    let lines: Vec<_> = lines().map(|line| write_line(&shown, line)).collect();
    lines.join("\n")
}

/// A column as wide as it is shown.
struct Shown {
    column: Column,
    index: usize,
    width: usize,
}

impl Shown {
    /// How narrow it may become.
    fn narrowest(&self) -> usize {
        if self.column.may_be_cut { self.width.min(NARROWEST) } else { self.width }
    }
}

/// Lets columns go until the others can fit, and takes room from the widest of those that may be cut
/// until they do.
fn narrow(shown: &mut Vec<Shown>, width: usize) {
    let needed = |shown: &[Shown], width: fn(&Shown) -> usize| {
        let gaps = GAP.len() * shown.len().saturating_sub(1);
        shown.iter().map(width).sum::<usize>() + gaps
    };
    while needed(shown, Shown::narrowest) > width {
        let Some(last) = shown.iter().rposition(|one| one.column.may_go) else { break };
        shown.remove(last);
    }
    while needed(shown, |one| one.width) > width {
        let cuttable = shown.iter_mut().filter(|one| one.width > one.narrowest());
        let Some(widest) = cuttable.max_by_key(|one| one.width) else { return };
        widest.width -= 1;
    }
}

fn write_line(shown: &[Shown], cells: &[String]) -> String {
    let cells = shown.iter().map(|Shown { column, index, width }| {
        let cell = cut(cells.get(*index).map_or("", String::as_str), *width);
        match column.side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        }
    });
    let line = cells.collect::<Vec<_>>().join(GAP);
    line.trim_end().to_owned()
}

/// Names with their values, a line each.
pub(super) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = fields.iter().map(|(name, value)| format!("{name:<width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] =
        [Column::left("ID"), Column::left("NAME").cut(), Column::right("COST")];

    fn row(cells: [&str; 3]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_text_and_stand_on_their_side() {
        let rows = [row(["a1", "short", "$1.00"]), row(["b", "a longer name", "$12.00"])];
        assert_eq!(
            table(&COLUMNS, &rows, None),
            "ID  NAME             COST\n\
             a1  short           $1.00\n\
             b   a longer name  $12.00"
        );
    }

    #[test]
    fn a_name_gives_way_where_the_terminal_is_narrow_and_an_id_never() {
        let rows = [row(["an-identifier", "a name that is much too long", "$1.00"])];
        let said = table(&COLUMNS, &rows, Some(32));
        assert!(said.lines().all(|line| line.chars().count() <= 32), "{said}");
        assert!(said.contains("an-identifier  a name th…  $1.00"), "{said}");
    }

    #[test]
    fn nothing_is_cut_beyond_recognition() {
        let rows = [row(["an-identifier", "a name that is much too long", "$1.00"])];
        assert!(table(&COLUMNS, &rows, Some(10)).contains("a name…"));
    }

    #[test]
    fn where_that_is_not_enough_a_column_that_nobody_needs_goes() {
        let columns =
            [Column::left("ID"), Column::left("NAME").cut(), Column::right("AGE").optional()];
        let rows = [row(["an-identifier", "a name that is much too long", "3d"])];
        let said = table(&columns, &rows, Some(24));
        assert_eq!(said, "ID             NAME\nan-identifier  a name t…");
    }

    #[test]
    fn no_line_ends_in_spaces() {
        let columns = [Column::left("ID"), Column::left("NAME")];
        assert_eq!(table(&columns, &[vec!["a".to_owned(), String::new()]], None), "ID  NAME\na");
    }

    #[test]
    fn fields_are_aligned() {
        let said = fields(&[("id", "a".to_owned()), ("status", "b".to_owned())]);
        assert_eq!(said, "id      a\nstatus  b");
    }
}
