// What goes wrong, and how it is put into one printable line. Free of Node and of browsers.

/** No usable bundle or file, or values that a graph does not take. */
export class BundleError extends Error {
  exitCode = 1;
}

/** An argument that makes no sense. */
export class UsageError extends Error {
  exitCode = 2;
}

/** The engine is missing, or too old for the bundle. */
export class EnvironmentError extends Error {
  exitCode = 4;
}

/** What a terminal would act on; a surrogate that is half of a pair is no character. */
export const CONTROL = /[\p{Cc}\p{Cs}]/u;

/** These too, in what is printed: they change the order of what is shown. */
const UNPRINTED = /[\p{Cc}\p{Cs}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** The message of an error on one line, since engines and parsers quote what they were given. */
export function oneLine(error) {
  const text = String(error?.message ?? error);
  return printable(text.replace(/\s+/g, " ").trim());
}

/** A text without control characters, which a terminal would act on: "\\x1b" instead. */
export function printable(text) {
  return text.replace(UNPRINTED, (character) => {
    const hex = character.charCodeAt(0).toString(16);
    return hex.length > 2 ? `\\u${hex}` : `\\x${hex.padStart(2, "0")}`;
  });
}

/** At most 80 characters of a text that can be as long as its file. */
export function shortened(text) {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
