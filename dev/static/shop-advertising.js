// A dummy of advertising. It logs, and keeps two cookies as such scripts do.
console.info("shop: advertising");
const advertising = document.createElement("li");
advertising.textContent = "advertising";
document.getElementById("ran").append(advertising);
document.cookie = "_ad_id=1; Path=/; Max-Age=7776000; SameSite=Lax";
document.cookie = "_ad_click=1; Path=/; Max-Age=7776000; SameSite=Lax";
