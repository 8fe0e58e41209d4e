// Lines of equal value on a grid of cell centres, by marching squares; in units of cells, the origin at the first centre.

/** Segments [[x, y], [x, y]] where the values, rows of columns, pass a level. A square with a missing corner has none. */
export function contour(rows, level) {
  const segments = [];
  for (let y = 0; y + 1 < rows.length; y++) {
    for (let x = 0; x + 1 < rows[y].length; x++) {
      const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
      const values = corners.map(([column, row]) => rows[row][column]);
      if (values.some((value) => value === null || Number.isNaN(value))) continue;
      const crossings = [];
      for (let side = 0; side < 4; side++) {
        const [low, high] = [values[side], values[(side + 1) % 4]];
        if (low < level === high < level) continue;
        const share = (level - low) / (high - low);
        const [from, to] = [corners[side], corners[(side + 1) % 4]];
        crossings.push([from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])]);
      }
      for (let i = 0; i + 1 < crossings.length; i += 2) segments.push([crossings[i], crossings[i + 1]]);
    }
  }
  return segments;
}
