-- Sends the requests of a file, each once before any is sent again, and prints what came of it.
-- A line of the file: method, path, content type, key, more headers and body, with tabs between.
-- The second argument is how long each connection pauses before a request, in ms: 0, or a mean.

local requests, at, pause = {}, 0, 0

function init(arguments)
  pause = tonumber(arguments[2]) or 0
  if pause == 0 then delay = nil end
  for line in io.lines(arguments[1]) do
    local method, path, kind, key, more, body = line:match("(.-)\t(.-)\t(.-)\t(.-)\t(.-)\t(.*)")
    local headers = {["Content-Type"] = kind}
    for name, value in more:gmatch("([^|:]+): ([^|]*)") do headers[name] = value end
    if key ~= "" then headers["Authorization"] = "Bearer " .. key end
    requests[#requests + 1] = wrk.format(method, path, headers, body)
  end
end

function delay()
  local wanted = -pause * math.log(1 - math.random())
  return math.floor(wanted + math.random())  -- wrk waits whole ms
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "faults": %d}',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
