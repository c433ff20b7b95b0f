<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Tests;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use PreferenceCenter\Client\Http\CurlTransport;
use PreferenceCenter\Client\Http\StreamTransport;
use PreferenceCenter\Client\Http\Transport;
use PreferenceCenter\Client\Http\TransportError;

/** Each transport against a socket that answers in part, or not at all. */
final class TransportTest extends TestCase
{
    /** @var ?resource */
    private $process = null;

    protected function tearDown(): void
    {
        if ($this->process) {
            proc_terminate($this->process);
            proc_close($this->process);
        }
    }

    /** Serve bytes to everybody who has sent a request, then hold or close the connection. */
    private function serve(string $bytes, bool $hold = false): string
    {
        $program = '$server = stream_socket_server("tcp://127.0.0.1:0"); '
            . 'echo stream_socket_get_name($server, false), "\n"; $held = []; '
            . 'while ($connection = stream_socket_accept($server, 60)) { fread($connection, 65536); '
            . 'fwrite($connection, base64_decode($argv[1])); '
            . 'if ($argv[2]) { $held[] = $connection; } else { fclose($connection); } }';
        $command = [PHP_BINARY, '-r', $program, base64_encode($bytes), $hold ? '1' : ''];
        $process = proc_open($command, [1 => ['pipe', 'w']], $pipes);
        self::assertIsResource($process);
        $this->process = $process;
        return 'http://' . trim((string) fgets($pipes[1]));
    }

    /** @return array<string, array{Transport}> */
    public static function transports(): array
    {
        $all = ['streams' => [new StreamTransport()]];
        return extension_loaded('curl') ? $all + ['curl' => [new CurlTransport()]] : $all;
    }

    #[DataProvider('transports')]
    public function testAResponseArrivesWithItsStatusAndRetryAfter(Transport $transport): void
    {
        $url = $this->serve("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}");
        $response = $transport->send('POST', $url, ['Authorization' => 'Bearer k'], '{}', 2);
        self::assertSame([503, '7', '{}'], [$response->status, $response->retryAfter, $response->body]);
    }

    #[DataProvider('transports')]
    public function testARedirectIsNotFollowed(Transport $transport): void
    {
        $url = $this->serve("HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n");
        self::assertSame(307, $transport->send('POST', $url, [], '{}', 2)->status);
    }

    /** @return iterable<string, array{Transport, string, bool}> */
    public static function unfinished(): iterable
    {
        foreach (self::transports() as $name => [$transport]) {
            yield "$name, no answer" => [$transport, '', true];
            yield "$name, a slow body" => [$transport, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", true];
            yield "$name, half a body" => [$transport, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", false];
            yield "$name, closed at once" => [$transport, '', false];
        }
    }

    #[DataProvider('unfinished')]
    public function testWhatDoesNotArriveWholeInTimeIsNoResponse(Transport $transport, string $bytes, bool $hold): void
    {
        $url = $this->serve($bytes, $hold);
        $start = microtime(true);
        try {
            $transport->send('POST', "$url/v1/decisions", [], '{}', 0.2);
            self::fail('a response');
        } catch (TransportError) {
            self::assertLessThan(2, microtime(true) - $start);
        }
    }

    #[DataProvider('transports')]
    public function testAPortWhereNobodyListensIsNoResponse(Transport $transport): void
    {
        $this->expectException(TransportError::class);
        $transport->send('POST', 'http://127.0.0.1:9', [], '{}', 1);
    }
}
