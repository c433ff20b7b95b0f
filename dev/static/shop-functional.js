// A dummy of what is nice to have. It logs, and keeps one cookie as such scripts do.
function shopLog(what) {
  console.info(`shop: ${what}`);
  const item = document.createElement("li");
  item.textContent = what;
  document.getElementById("ran").append(item);
}
shopLog("functional");
document.cookie = "shop_recent=1; Max-Age=2592000; SameSite=Lax";
