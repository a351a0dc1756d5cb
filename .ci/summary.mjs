// Prints "<n> passed, <n> failed" from vitest's report. A file or step that fails without a failed test counts as one failure.
import { existsSync, readFileSync } from "node:fs";

const [report, ...failedSteps] = process.argv.slice(2);
const { testResults = [] } = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : {};
const count = (status) => testResults.flatMap((file) => file.assertionResults).filter((test) => test.status === status).length;
const failedTests = count("failed");
const brokenFiles = testResults.filter(
  ({ status, assertionResults }) => status === "failed" && assertionResults.every((test) => test.status !== "failed"),
);
const explained = failedTests + brokenFiles.length > 0;
const otherSteps = failedSteps.filter((step) => !(explained && step.startsWith("npm test")));
const passed = count("passed");
const failed = failedTests + brokenFiles.length + otherSteps.length + (passed === 0 && failedSteps.length === 0 ? 1 : 0);

for (const { name } of brokenFiles) console.log(`failed: ${name}`);
for (const step of otherSteps) console.log(`failed: ${step}`);
const skipped = testResults.flatMap((file) => file.assertionResults).length - passed - failedTests;
if (skipped > 0) console.log(`${skipped} skipped: they need recorded values or servers that are not here`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
