<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Tests;

use GuzzleHttp\Client as Guzzle;
use GuzzleHttp\Handler\MockHandler;
use GuzzleHttp\HandlerStack;
use GuzzleHttp\Psr7\HttpFactory;
use GuzzleHttp\Psr7\Response;
use PHPUnit\Framework\TestCase;
use PreferenceCenter\Client\Http\Psr18Transport;

/** Guzzle as the PSR-18 client. */
final class Psr18Test extends TestCase
{
    protected function setUp(): void
    {
        if (!class_exists(Guzzle::class) || !class_exists(HttpFactory::class)) {
            self::markTestSkipped('Guzzle is missing: apt-get install php-guzzlehttp-guzzle');
        }
    }

    private static function transport(mixed ...$answers): Psr18Transport
    {
        $mock = new MockHandler(array_values($answers));
        $factory = new HttpFactory();
        return new Psr18Transport(new Guzzle(['handler' => HandlerStack::create($mock)]), $factory, $factory);
    }

    public function testAResponseArrivesWithItsStatusAndRetryAfter(): void
    {
        $transport = self::transport(new Response(503, ['Retry-After' => '7'], '{}'));
        $response = $transport->send('POST', 'https://example.com/v1/decisions', ['Accept' => 'x'], '{}', 2);
        self::assertSame([503, '7', '{}'], [$response->status, $response->retryAfter, $response->body]);
    }

    public function testARedirectIsNotFollowed(): void
    {
        $transport = self::transport(new Response(307, ['Location' => 'https://elsewhere.example']));
        self::assertSame(307, $transport->send('POST', 'https://example.com', [], '', 2)->status);
    }

    public function testAFailureIsNoResponseAndItsTextIsNotRepeated(): void
    {
        $request = new \GuzzleHttp\Psr7\Request('POST', 'https://example.com');
        $failure = new \GuzzleHttp\Exception\ConnectException('of ada@example.com', $request);
        $this->expectExceptionMessage('ConnectException');
        self::transport($failure)->send('POST', 'https://example.com', [], '{}', 2);
    }
}
