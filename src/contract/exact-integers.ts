/** JSON in which whole numbers that a number would round, such as large seeds, are texts. */
export const withExactIntegers = (json: string): string =>
  json.replace(/"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])\d{16,}(?![\d.eE])/g, (token) =>
    token.startsWith('"') || Number.isSafeInteger(Number(token)) ? token : `"${token}"`,
  );
