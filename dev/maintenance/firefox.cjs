// For Node.js of Playwright, with `--require`. Playwright 1.65 begins each page and context with a
// command that Firefox 153, the one with extended support, does not know. In its place goes one
// that changes nothing. Not needed once `firefox-esr` knows it.
const { Module } = require("node:module");

const UNKNOWN = '"emulation.setMediaFeaturesOverride"';
const compile = Module.prototype._compile;
Module.prototype._compile = function (source, name, ...more) {
  const text = name.endsWith("coreBundle.js") ? source.replaceAll(UNKNOWN, '"session.status"') : source;
  return compile.call(this, text, name, ...more);
};
