export { PreferenceCenter, UNANSWERED } from './client.js';
export { ApiError, PreferenceCenterError, Unavailable } from './errors.js';
export { LinkMinter } from './links.js';
