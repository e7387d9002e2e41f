#!/usr/bin/env node
// Written so that an old Node reads it, and can say that it is too old.
const oldest = 24;
const major = Number(process.versions.node.split(".")[0]);
if (major < oldest) {
  console.error(
    "lopper: this is Node " + process.versions.node + "; it needs Node " + oldest + " or later",
  );
  process.exit(1);
}
import("../dist/main.js");
