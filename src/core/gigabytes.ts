/** A size for people to read: bytes as gigabytes with one decimal. */
export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
