//! A number in large digits.

/// The digits 0 to 9 in five rows of five columns; `#` is ink.
const DIGITS: [[&str; 5]; 10] = [
    ["#####", "#   #", "#   #", "#   #", "#####"],
    ["  #  ", " ##  ", "  #  ", "  #  ", " ### "],
    ["#####", "    #", "#####", "#    ", "#####"],
    ["#####", "    #", " ####", "    #", "#####"],
    ["#   #", "#   #", "#####", "    #", "    #"],
    ["#####", "#    ", "#####", "    #", "#####"],
    ["#####", "#    ", "#####", "#   #", "#####"],
    ["#####", "    #", "   # ", "  #  ", "  #  "],
    ["#####", "#   #", "#####", "#   #", "#####"],
    ["#####", "#   #", "#####", "    #", "#####"],
];

/// The five rows of `number`, drawn with the character `ink`.
pub fn rows(number: u32, ink: &str) -> Vec<String> {
    let digits: Vec<usize> = number.to_string().bytes().map(|digit| usize::from(digit - b'0')).collect();
    let row = |row: usize| {
        let cells: Vec<String> = digits.iter().map(|digit| DIGITS[*digit][row].replace('#', ink)).collect();
        format!("  {}", cells.join("  ")).trim_end().to_owned()
    };
    (0..5).map(row).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_drawn_side_by_side() {
        assert_eq!(
            super::rows(14, "█"),
            ["    █    █   █", "   ██    █   █", "    █    █████", "    █        █", "   ███       █"]
        );
    }
}
